package process

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reconcile counts and times the pieces of work of one service, in the metrics
// that all controllers have alike.
type Reconcile struct {
	succeeded, failed prometheus.Counter
	duration          prometheus.Observer
}

// NewReconcile registers the metrics of a controller, such as "projector".
func NewReconcile(registerer prometheus.Registerer, controller string) (*Reconcile, error) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "controller_reconcile_total", Help: "Pieces of work done, by result: success or error.",
	}, []string{"controller", "result"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "controller_reconcile_duration_seconds", Help: "How long a piece of work took.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 15), // to 16 s
	}, []string{"controller"})
	r := &Reconcile{
		succeeded: total.WithLabelValues(controller, "success"), failed: total.WithLabelValues(controller, "error"),
		duration: duration.WithLabelValues(controller),
	}
	return r, errors.Join(registerer.Register(total), registerer.Register(duration))
}

// Done counts one piece of work that took so long, and failed unless err is nil.
func (r *Reconcile) Done(took time.Duration, err error) {
	r.duration.Observe(took.Seconds())
	if err == nil {
		r.succeeded.Inc()
	} else {
		r.failed.Inc()
	}
}

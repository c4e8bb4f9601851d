package projector

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
)

// metrics of a projector.
type metrics struct {
	reconcile          *process.Reconcile
	fold, route, envoy prometheus.Observer
	bytes, delay       prometheus.Histogram
	versions           prometheus.Counter
	problems           prometheus.Counter
	lag                *process.Lag
	// folded is the last sequence of EVENTS that is folded in.
	folded atomic.Uint64
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	reconcile, errReconcile := process.NewReconcile(r, "projector")
	lag, errLag := process.NewLag(r, "projector")
	steps := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rutter_projector_step_duration_seconds", Help: "How long one step of a projection took, by step: fold, route, envoy.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
	}, []string{"step"})
	m := &metrics{
		reconcile: reconcile, lag: lag,
		fold: steps.WithLabelValues("fold"), route: steps.WithLabelValues("route"), envoy: steps.WithLabelValues("envoy"),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rutter_snapshot_bytes", Help: "Size of a published version as it is stored.", Buckets: prometheus.ExponentialBuckets(256, 4, 10),
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rutter_projector_delay_seconds", Help: "From the observation of the last change in a version until the version is published.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		versions: prometheus.NewCounter(prometheus.CounterOpts{Name: "rutter_snapshots_published_total", Help: "Versions published."}),
		problems: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_projector_invalid_outputs_total", Help: "Outputs left out because they came out invalid, which is a fault of Rutter.",
		}),
	}
	errs := []error{errReconcile, errLag}
	for _, c := range []prometheus.Collector{steps, m.bytes, m.delay, m.versions, m.problems} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) published(snap *routing.Snapshot, messages []events.Message, now time.Time) {
	size := 0
	for _, message := range messages {
		size += len(message.Data)
	}
	m.bytes.Observe(float64(size))
	m.delay.Observe(now.Sub(snap.Time).Seconds())
	m.versions.Inc()
}

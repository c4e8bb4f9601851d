package statuswriter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/internal/process"
)

// metrics of the service.
type metrics struct {
	reconciled              *process.Reconcile
	lag                     *process.Lag
	writes, errors, omitted *prometheus.CounterVec
	failing                 prometheus.Gauge
	delay                   prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	reconciled, errReconcile := process.NewReconcile(registerer, "status-writer")
	lag, err := process.NewLag(registerer, "status")
	err = errors.Join(errReconcile, err)
	m := &metrics{
		reconciled: reconciled, lag: lag,
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_status_writes_total", Help: "Statuses written, by resource.",
		}, []string{"resource"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_status_errors_total", Help: "Attempts to write a status that failed, by resource.",
		}, []string{"resource"}),
		omitted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_status_omitted_total", Help: "Entries left out of a status because the API has no room for them, by resource.",
		}, []string{"resource"}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rutter_status_failing", Help: "Objects whose status could not be written at the last attempt.",
		}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rutter_status_delay_seconds", Help: "From the observation of the last change in a version until its verdicts are here.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
	}
	for _, c := range []prometheus.Collector{m.writes, m.errors, m.omitted, m.failing, m.delay} {
		err = errors.Join(err, registerer.Register(c))
	}
	return m, err
}

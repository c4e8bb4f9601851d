package statuswriter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the service.
type metrics struct {
	writes, errors *prometheus.CounterVec
	failing        prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_status_writes_total", Help: "Statuses written, by resource.",
		}, []string{"resource"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_status_errors_total", Help: "Attempts to write a status that failed, by resource.",
		}, []string{"resource"}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rutter_status_failing", Help: "Objects whose status could not be written at the last attempt.",
		}),
	}
	return m, errors.Join(registerer.Register(m.writes), registerer.Register(m.errors), registerer.Register(m.failing))
}

package kube

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	conflicts  *prometheus.CounterVec
	unreadable *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_status_conflicts_total", Help: "Writes of a status that were made again because somebody else wrote meanwhile, by resource.",
		}, []string{"resource"}),
		unreadable: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_status_kind_unreadable", Help: "1 for a resource that the API server does not let be read, else 0.",
		}, []string{"resource"}),
	}
	return m, errors.Join(registerer.Register(m.conflicts), registerer.Register(m.unreadable))
}

package admission

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a request is not recorded.
const (
	reasonUnchanged  = "unchanged"
	reasonUnrecorded = "unrecorded"
	reasonUnreadable = "unreadable"
	reasonStranger   = "stranger"
	reasonFull       = "full"
	reasonLog        = "log"
)

type metrics struct {
	recorded, dropped *prometheus.CounterVec
	seconds           prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_ingest_actors_recorded_total", Help: "Requests to the API server of which it was recorded who made them, by resource.",
		}, []string{"resource"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_ingest_actors_dropped_total",
			Help: "Requests of which it was not recorded who made them, by reason: unchanged (nothing that is recorded would change), unrecorded (of the object nothing is), unreadable, stranger (who asks does not know where), full (the log does not keep up), log (it refuses, or all ends).",
		}, []string{"reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rutter_ingest_actors_review_seconds", Help: "How long the API server waited for an answer of the admission webhook, less the way there and back.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15), // to 1.6 s
		}),
	}
	return m, errors.Join(registerer.Register(m.recorded), registerer.Register(m.dropped), registerer.Register(m.seconds))
}

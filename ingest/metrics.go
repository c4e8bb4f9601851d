package ingest

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/process"
)

// metrics are those of recording.
type metrics struct {
	*process.Reconcile
	recordedTotal *prometheus.CounterVec
	droppedTotal  *prometheus.CounterVec
	heldDeletions *prometheus.GaugeVec
	followed      *prometheus.GaugeVec
	pending       prometheus.Gauge
	synced        *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	reconcile, err := process.NewReconcile(registerer, "ingest")
	m := &metrics{
		Reconcile: reconcile,
		recordedTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_ingest_events_recorded_total", Help: "Events that were recorded, by resource and what happened.",
		}, []string{"resource", "type"}),
		droppedTotal: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_ingest_events_dropped_total",
			Help: "Changes that were seen and not recorded, by resource and reason: unchanged (nothing that is recorded of it differs), unreferenced (nothing refers to it).",
		}, []string{"resource", "reason"}),
		heldDeletions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_ingest_held_deletions", Help: "Objects that are missing and stay in force until that is confirmed, by resource.",
		}, []string{"resource"}),
		followed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_ingest_watching", Help: "1 while a resource is watched, 0 while the API server is away or does not allow it.",
		}, []string{"resource"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rutter_ingest_pending_changes", Help: "Changes that were heard of and wait to be recorded.",
		}),
		synced: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_ingest_synced", Help: "1 once a resource was listed in the present epoch without a problem, else 0.",
		}, []string{"resource"}),
	}
	for _, c := range []prometheus.Collector{m.recordedTotal, m.droppedTotal, m.heldDeletions, m.followed, m.pending, m.synced} {
		err = errors.Join(err, registerer.Register(c))
	}
	return m, err
}

func (m *metrics) recorded(e events.Event) {
	m.recordedTotal.WithLabelValues(e.Key.Resource, strings.TrimPrefix(string(e.Type), "dev.rutter.")).Inc()
}

func (m *metrics) dropped(resource, reason string) {
	m.droppedTotal.WithLabelValues(resource, reason).Inc()
}

func (m *metrics) held(resource string, count int) {
	m.heldDeletions.WithLabelValues(resource).Set(float64(count))
}

func (m *metrics) watching(resource string, up bool) {
	m.followed.WithLabelValues(resource).Set(oneIf(up))
}

func (m *metrics) listed(resource string, well bool) {
	m.synced.WithLabelValues(resource).Set(oneIf(well))
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

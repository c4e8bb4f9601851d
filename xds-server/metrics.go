package xdsserver

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
)

// remembered is of how many versions the time is known, for those Envoys that are
// about to take them.
const remembered = 4096

// metrics of a server, besides those of its streams of Envoys.
type metrics struct {
	reconcile *process.Reconcile
	lag       *process.Lag
	versions  prometheus.Counter
	bytes     prometheus.Histogram
	toEnvoy   prometheus.Histogram
	// read is the last sequence of SNAPSHOTS that was taken over.
	read atomic.Uint64

	mu     sync.Mutex
	recent []published // oldest first
}

type published struct {
	version events.Version
	time    time.Time
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	reconcile, errReconcile := process.NewReconcile(r, "xds-server")
	lag, errLag := process.NewLag(r, "xds")
	m := &metrics{
		reconcile: reconcile, lag: lag,
		versions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_xds_versions_total", Help: "Versions of the routing taken over.",
		}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rutter_xds_version_bytes", Help: "Bytes of the resources that changed with a version.", Buckets: prometheus.ExponentialBuckets(256, 4, 10),
		}),
		toEnvoy: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "rutter_xds_event_to_ack_seconds", Help: "From the observation of the last change in a version until an Envoy that was connected has acknowledged it.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
	}
	return m, errors.Join(errReconcile, errLag, r.Register(m.versions), r.Register(m.bytes), r.Register(m.toEnvoy))
}

// took counts versions that were taken over.
func (m *metrics) took(versions []*routing.Snapshot, took time.Duration, err error) {
	m.reconcile.Done(took, err)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range versions {
		m.versions.Inc()
		size := 0
		for _, g := range v.Gateways {
			for i := range g.Changed {
				size += len(g.Changed[i].Body)
			}
		}
		m.bytes.Observe(float64(size))
		m.recent = append(m.recent, published{v.Version, v.Time})
	}
	if n := len(m.recent); n > 2*remembered {
		m.recent = append([]published(nil), m.recent[n-remembered:]...)
	}
}

// acknowledged observes the versions that an Envoy has taken, after before and up
// to held, less those that came before it connected.
func (m *metrics) acknowledged(r routing.EnvoyReceipt, before events.Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.recent) - 1; i >= 0; i-- {
		p := m.recent[i]
		if p.version.Incarnation != r.Held.Incarnation || p.time.Before(r.Connected) || p.version == before {
			return
		}
		if p.version.Sequence <= r.Held.Sequence {
			m.toEnvoy.Observe(r.HeldAt.Sub(p.time).Seconds())
		}
	}
}

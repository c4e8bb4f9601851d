package serve

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

type metrics struct {
	mu      sync.Mutex
	streams map[string]int // by Gateway

	connected      *prometheus.GaugeVec
	answers        *prometheus.CounterVec
	responses      *prometheus.CounterVec
	bytes          *prometheus.CounterVec
	refusedStreams *prometheus.CounterVec
	unopened       prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		streams: map[string]int{},
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_xds_connected_envoys", Help: "Streams of Envoys, by Gateway (namespace/name).",
		}, []string{"gateway"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_xds_answers_total", Help: "Answers of Envoys to responses, by type and result (ack, nack).",
		}, []string{"type", "result"}),
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_xds_responses_total", Help: "Responses sent, by type.",
		}, []string{"type"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_xds_response_bytes_total", Help: "Bytes of responses sent, by type.",
		}, []string{"type"}),
		refusedStreams: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rutter_xds_streams_refused_total", Help: "Streams refused, by reason: full, node (it does not say who it is), identity (its certificate is not that Gateway's).",
		}, []string{"reason"}),
		unopened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_xds_secrets_unopened_total", Help: "Secrets whose private key could not be unsealed.",
		}),
	}
	for _, c := range []prometheus.Collector{m.connected, m.answers, m.responses, m.bytes, m.refusedStreams, m.unopened} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) sent(typ string, bytes int) {
	m.responses.WithLabelValues(short(typ)).Inc()
	m.bytes.WithLabelValues(short(typ)).Add(float64(bytes))
}

// connect counts a stream in (1) or out (-1). The label goes with the last
// stream, since clients name the Gateway.
func (m *metrics) connect(gateway string, change int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.streams[gateway] += change
	m.connected.WithLabelValues(gateway).Set(float64(m.streams[gateway]))
	if m.streams[gateway] == 0 {
		delete(m.streams, gateway)
		m.connected.DeleteLabelValues(gateway)
	}
}

// short is the last part of a type URL. What is not served is "other", so that
// no client makes up metrics.
func short(typ string) string {
	switch typ {
	case store.ClusterType, store.EndpointType, store.SecretType, store.ExtensionType, store.ListenerType, store.ScopeType, store.RouteType:
		return typ[strings.LastIndexByte(typ, '.')+1:]
	}
	return "other"
}

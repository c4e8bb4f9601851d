package serve

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// Ledger is told what each stream's Envoy holds.
type Ledger interface {
	// Set replaces what is known of a stream. An exception goes out at once.
	Set(stream uint64, receipt routing.EnvoyReceipt, exception bool)
	// Remove forgets a stream that has ended.
	Remove(stream uint64)
}

// Config is what a [Server] works with. All but Acknowledged and MaxStreams is required.
type Config struct {
	Store  *store.Store
	Keys   store.Keys
	Ledger Ledger
	Logger *slog.Logger
	// Registerer takes the rutter_xds_* metrics.
	Registerer prometheus.Registerer
	// Acknowledged is told that an Envoy, which held before, holds another version.
	// It must not block.
	Acknowledged func(now routing.EnvoyReceipt, before events.Version)
	// MaxStreams is how many streams are served at a time; 2,000 when zero.
	// Beyond it an Envoy is refused with RESOURCE_EXHAUSTED and tries again elsewhere.
	MaxStreams int
}

// defaultMaxStreams is for a server of ordinary size: an idle stream costs about
// 50 KB.
const defaultMaxStreams = 2000

// maxRequest bounds a request in bytes: an Envoy that reconnects sends the
// name and version of each of its resources.
const maxRequest = 64 << 20

// Server is the aggregated discovery service.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	Config
	metrics *metrics
	active  atomic.Int64
	streams atomic.Uint64 // ever begun
	// receivers are the goroutines that read requests. gRPC ends them after the
	// handler has returned, so [Server.Wait] waits for them.
	receivers sync.WaitGroup
	// unopened are the secrets about which it was said that they cannot be
	// unsealed: name to digest.
	unopened sync.Map
}

// New checks c.
func New(c Config) (*Server, error) {
	if c.Store == nil || c.Ledger == nil || c.Logger == nil || c.Registerer == nil {
		return nil, errors.New("serve: store, ledger, logger and registerer are required")
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = defaultMaxStreams
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, err
	}
	return &Server{Config: c, metrics: m}, nil
}

// Options are those that a gRPC server of this service should have: an Envoy
// that is gone without a word is noticed within 15 s.
func Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(16), // per connection; an Envoy needs one
		grpc.WaitForHandlers(true),    // when stopped, so that nothing is served afterwards
	}
}

// Wait returns when nothing of any stream runs any more; call it after the gRPC
// server was stopped.
func (s *Server) Wait() { s.receivers.Wait() }

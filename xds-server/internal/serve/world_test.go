package serve

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/simenvoy"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

const gateway = "ns/gw"

// ledger keeps what each stream reported last.
type ledger struct {
	mu      sync.Mutex
	streams map[uint64]routing.EnvoyReceipt
	changed chan struct{}
}

func (l *ledger) Set(stream uint64, r routing.EnvoyReceipt, _ bool) {
	l.change(func() { l.streams[stream] = r })
}

func (l *ledger) Remove(stream uint64) {
	l.change(func() { delete(l.streams, stream) })
}

func (l *ledger) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// of is what the latest stream of a node reported.
func (l *ledger) of(node string) (routing.EnvoyReceipt, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, stream := range slices.Backward(slices.Sorted(maps.Keys(l.streams))) {
		if r := l.streams[stream]; r.Node == node {
			return r, l.changed
		}
	}
	return routing.EnvoyReceipt{}, l.changed
}

// await waits until what is reported of a node fulfils the condition.
func (l *ledger) await(t *testing.T, node string, condition func(routing.EnvoyReceipt) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		r, changed := l.of(node)
		if condition(r) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("node %s is reported as %+v", node, r)
		}
	}
}

// replica is a server on a connection of its own, over a store of its own.
type replica struct {
	store    *store.Store
	ledger   *ledger
	conn     *grpc.ClientConn
	registry *prometheus.Registry
}

func newReplica(t testing.TB, configure ...func(*Config)) *replica {
	t.Helper()
	r := &replica{store: store.New(), ledger: &ledger{streams: map[uint64]routing.EnvoyReceipt{}, changed: make(chan struct{})}, registry: prometheus.NewRegistry()}
	config := Config{Store: r.store, Ledger: r.ledger, Logger: slog.New(slog.DiscardHandler), Registerer: r.registry}
	for _, f := range configure {
		f(&config)
	}
	server, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	g := grpc.NewServer(Options()...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, server)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(listener) }()
	r.conn, err = grpc.NewClient("passthrough:bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.conn.Close()
		g.Stop()
		<-done
		server.Wait()
	})
	return r
}

// take publishes versions and endpoints as complete.
func (r *replica) take(t testing.TB, versions ...*routing.Snapshot) {
	t.Helper()
	if err := r.store.Take(versions...); err != nil {
		t.Fatal(err)
	}
}

func assignments(t testing.TB, services ...string) []endpoints.Assignment {
	t.Helper()
	table := endpoints.NewTable(nil)
	for i, service := range services {
		if err := table.Apply(sample.SliceEvent(service, 80, fmt.Sprintf("10.0.0.%d", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	return table.Take()
}

// connect starts an Envoy against a replica.
func connect(t testing.TB, node string, r *replica) *simenvoy.Envoy {
	t.Helper()
	e := simenvoy.New(node, gateway)
	if err := e.Connect(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Disconnect)
	return e
}

func await(t testing.TB, e *simenvoy.Envoy, condition func(simenvoy.View) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := e.Await(ctx, condition); err != nil {
		t.Fatal(err)
	}
}

// runs tells whether an Envoy has exactly these resources of a Gateway, with
// their content.
func runs(want []routing.Resource) func(simenvoy.View) bool {
	return func(v simenvoy.View) bool {
		count := 0
		for typ, resources := range v.Have {
			if typ != store.EndpointType {
				count += len(resources)
			}
		}
		if count != len(want) {
			return false
		}
		for _, r := range want {
			if have, ok := v.Have[r.Type][r.Name]; !ok || routing.DigestOf(have.Body) != r.Digest {
				return false
			}
		}
		return true
	}
}

// web is a Gateway with hosts h0, h1, …, each with a cluster of its own.
func web(hosts int) []routing.Resource {
	out := []routing.Resource{sample.Listener("http", 8080, "")}
	for i := range hosts {
		out = append(out, host(i, 1)...)
	}
	return out
}

// host is the cluster and the scope of one host; another edition has other bytes,
// and the third TLS.
func host(i, edition int) []routing.Resource {
	if edition == 3 {
		return secured(i, "authorities")
	}
	return []routing.Resource{
		sample.Cluster(fmt.Sprintf("c%d", i), fmt.Sprintf("ns/s%d/-", i), time.Duration(edition)*time.Second),
		sample.Scope(fmt.Sprintf("h%d", i), fmt.Sprintf("/%d", edition), fmt.Sprintf("c%d", i)),
	}
}

// secured is a host whose cluster is reached over TLS.
func secured(i int, authorities string) []routing.Resource {
	ca := fmt.Sprintf("ca%d", i)
	return []routing.Resource{
		sample.Secured(fmt.Sprintf("c%d", i), fmt.Sprintf("ns/s%d/-", i), 3*time.Second, ca),
		sample.Authorities(ca, []byte(authorities)),
		sample.Scope(fmt.Sprintf("h%d", i), "/3", fmt.Sprintf("c%d", i)),
	}
}

package serve

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

const many = 10_000

// editions is two versions of a Gateway with many scopes that differ in one, each
// as the delta to the other.
func editions(b *testing.B) (whole *routing.Snapshot, next func() *routing.Snapshot) {
	b.Helper()
	h := sample.NewHistory("i")
	world := []routing.Resource{sample.Listener("http", 8080, "")}
	for i := range many {
		world = append(world, sample.Scope(fmt.Sprintf("host-%05d.example.com", i), "/", "c"))
	}
	whole = h.Publish(sample.World{gateway: world})
	other := append([]routing.Resource(nil), world...)
	other[many/2] = sample.Scope(fmt.Sprintf("host-%05d.example.com", many/2-1), "/changed", "c")
	there := h.Publish(sample.World{gateway: other})
	back := h.Publish(sample.World{gateway: world})
	version := whole.Version
	return whole, func() *routing.Snapshot {
		out := *there
		there, back = back, there
		out.Previous = version
		version.Sequence++
		out.Version = version
		return &out
	}
}

// BenchmarkOneChangeAmongTenThousandScopes is from a version that arrives to its
// response in the hands of a client that is connected by gRPC.
func BenchmarkOneChangeAmongTenThousandScopes(b *testing.B) {
	whole, next := editions(b)
	r := newReplica(b)
	r.take(b, whole)
	r.store.ReplaceEndpoints(nil)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(r.conn).DeltaAggregatedResources(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ask := func(typ string) *discoveryv3.DeltaDiscoveryResponse {
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "a", Cluster: gateway}, TypeUrl: typ}); err != nil {
			b.Fatal(err)
		}
		response, err := stream.Recv()
		if err != nil {
			b.Fatal(err)
		}
		return response
	}
	if got := len(ask(store.ScopeType).GetResources()); got != many {
		b.Fatalf("%d scopes at first", got)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.take(b, next())
		response, err := stream.Recv()
		if err != nil {
			b.Fatal(err)
		}
		if len(response.GetResources()) != 1 {
			b.Fatalf("%d resources for one change", len(response.GetResources()))
		}
		ack := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce()}
		if err := stream.Send(ack); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemoryPerScope reports what the store holds for each scope beyond its
// bytes, and what a connected client adds.
func BenchmarkMemoryPerScope(b *testing.B) {
	for b.Loop() {
		whole, _ := editions(b)
		var body int
		for _, r := range whole.Gateways[0].Changed {
			body += len(r.Body)
		}
		before := heap()
		st := store.New()
		if err := st.Take(whole); err != nil {
			b.Fatal(err)
		}
		st.ReplaceEndpoints(nil)
		held := heap()
		c := newClient(time.Now)
		var out []*response
		for range 2 {
			st.Read(gateway, func(now *store.Reading) {
				request := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: store.ScopeType}
				if len(out) > 0 {
					request.ResponseNonce = fmt.Sprint(out[0].nonce)
				}
				out, _ = c.step(now, request, false)
			})
		}
		out = nil
		client := heap()
		b.ReportMetric(float64(held-before)/many, "B/scope")
		b.ReportMetric(float64(body)/many, "body-B/scope")
		b.ReportMetric(float64(client)-float64(held), "B/client")
		runtime.KeepAlive(whole)
		runtime.KeepAlive(st)
		runtime.KeepAlive(c)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// script reads a sequence of requests out of bytes: any bytes are a script.
type script struct{ data []byte }

func (s *script) next(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := int(s.data[0])
	s.data = s.data[1:]
	return b % n
}

func (s *script) typ() string {
	types := append(order(), "", "type.googleapis.com/unknown")
	return types[s.next(len(types))]
}

func (s *script) names() []string {
	all := []string{"*", "", "http", "c0", "c1", "l0/h0", "l0/h1", "ns/s0/-", "ns/s1/-", "ns/s9/-", "cert", "\xff"}
	var out []string
	for range s.next(4) {
		out = append(out, all[s.next(len(all))])
	}
	return out
}

func (s *script) request() *discoveryv3.DeltaDiscoveryRequest {
	if s.next(16) == 15 { // whatever is left, as it would come over the wire
		r := &discoveryv3.DeltaDiscoveryRequest{}
		_ = proto.Unmarshal(s.data, r)
		return r
	}
	r := &discoveryv3.DeltaDiscoveryRequest{
		Node: &corev3.Node{Id: "a", Cluster: gateway}, TypeUrl: s.typ(),
		ResourceNamesSubscribe: s.names(), ResourceNamesUnsubscribe: s.names(),
	}
	switch s.next(4) {
	case 1, 2:
		r.ResponseNonce = strconv.Itoa(s.next(32))
	case 3:
		r.ResponseNonce = strconv.Itoa(s.next(32))
		r.ErrorDetail = &rpcstatus.Status{Message: "no"}
	}
	for _, name := range s.names() {
		if r.InitialResourceVersions == nil {
			r.InitialResourceVersions = map[string]string{}
		}
		r.InitialResourceVersions[name] = "v"
	}
	return r
}

// checkInvariants compares what a client counts with what it holds.
func checkInvariants(t *testing.T, c *client) {
	t.Helper()
	names, unsettled, pushed := 0, 0, 0
	for _, sub := range c.subscriptions {
		names += len(sub.names)
		unsettled += len(sub.unsettled)
	}
	for _, p := range c.pushes {
		pushed += p.open
	}
	if names != c.names || unsettled != c.open || pushed != c.open {
		t.Fatalf("counted %d names and %d open responses; there are %d, %d and %d in pushes", c.names, c.open, names, unsettled, pushed)
	}
	if len(c.subscriptions) > maxTypes || c.answered > 1<<32 {
		t.Fatalf("%d types, %d answered", len(c.subscriptions), c.answered)
	}
}

// FuzzClient steps a client through any sequence of requests and versions.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1})
	f.Add([]byte("any bytes are a script, and this one is as good as others"))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, h, c, s := store.New(), sample.NewHistory("i"), newClient(time.Now), &script{data: data}
		for step := 0; len(s.data) > 0 && step < 200; step++ {
			var request *discoveryv3.DeltaDiscoveryRequest
			switch s.next(4) {
			case 0:
				if err := st.Take(h.Publish(sample.World{gateway: web(s.next(3))})); err != nil {
					t.Fatal(err)
				}
			case 1:
				st.ReplaceEndpoints(assignments(t, []string{"s0", "s1"}[:s.next(3)]...))
			default:
				request = s.request()
			}
			var err error
			var out []*response
			st.Read(gateway, func(now *store.Reading) { out, err = c.step(now, request, s.next(2) == 1) })
			if err != nil {
				return
			}
			if len(out) > 64 {
				t.Fatalf("%d responses to one step", len(out))
			}
			checkInvariants(t, c)
		}
	})
}

// scripted is a stream whose requests come from a script.
type scripted struct {
	grpc.ServerStream
	ctx    context.Context
	script *script
	sent   int
}

func (s *scripted) Context() context.Context { return s.ctx }

func (s *scripted) Send(*discoveryv3.DeltaDiscoveryResponse) error {
	s.sent++
	return nil
}

func (s *scripted) Recv() (*discoveryv3.DeltaDiscoveryRequest, error) {
	if len(s.script.data) == 0 {
		return nil, io.EOF
	}
	return s.script.request(), nil
}

// quiet is a ledger that keeps nothing.
type quiet struct{}

func (quiet) Set(uint64, routing.EnvoyReceipt, bool) {}
func (quiet) Remove(uint64)                          {}

// FuzzStream runs the whole handler: it returns when the requests end.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1})
	f.Add([]byte(fmt.Sprint("any bytes are a script", maxTypes)))
	st := store.New()
	if err := st.Take(sample.NewHistory("i").Publish(sample.World{gateway: web(2)})); err != nil {
		f.Fatal(err)
	}
	st.ReplaceEndpoints(nil)
	server, err := New(Config{Store: st, Ledger: quiet{}, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		stream := &scripted{ctx: ctx, script: &script{data: data}}
		_ = server.DeltaAggregatedResources(stream)
		cancel() // as gRPC does when a handler has returned
		server.Wait()
		if stream.sent > 64*(len(data)+1) {
			t.Fatalf("%d responses to %d bytes of requests", stream.sent, len(data))
		}
	})
}

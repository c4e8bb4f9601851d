package envoy

import (
	"context"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/projector/route"
)

// startGRPC adds an endpoint with a gRPC server that knows the health service.
func (b *backends) startGRPC(t testing.TB, name string, options ...grpc.ServerOption) {
	t.Helper()
	server := grpc.NewServer(options...)
	checks := health.NewServer()
	checks.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(server, checks)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b.addresses[name] = append(b.addresses[name], l.Addr().String())
}

// dialGRPC is a client that calls a host through the port 80 of the proxy. Close it.
func (p *proxy) dialGRPC(host string) *grpc.ClientConn {
	p.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", p.ports["port-80"])
		}))
	if err != nil {
		p.t.Fatal(err)
	}
	return conn
}

func grpcMatch(m route.Match, service, method string) route.Match {
	m.GRPC = &route.GRPCMatch{Service: service, Method: method}
	return m
}

func TestGRPCRequestsMeetTheirRulesAndOthersDoNot(t *testing.T) {
	const check = "/grpc.health.v1.Health/Check"
	team := grpcMatch(exactly(check), "grpc.health.v1.Health", "Check")
	team.Headers = []route.ValueMatch{{Name: "x-team", Kind: route.Exact, Value: "missing"}}
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("grpc", route.H2C)
	w.cluster("web", route.HTTP1)
	w.host("http-80", "a.test",
		entry(team, rule("")),
		entry(grpcMatch(exactly(check), "grpc.health.v1.Health", "Check"), rule("grpc")),
		entry(prefix("/"), rule("web")))
	w.host("http-80", "b.test", entry(grpcMatch(prefix("/other.Service"), "other.Service", ""), rule("grpc")))
	b := newBackends(t, "web")
	b.startGRPC(t, "grpc")
	eachLayout(t, w, b, func(t *testing.T, p *proxy) {
		call := func(host string, headers ...string) codes.Code {
			conn := p.dialGRPC(host)
			defer conn.Close()
			ctx := metadata.AppendToOutgoingContext(t.Context(), headers...)
			_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: "grpc"})
			return status.Code(err)
		}
		if got := call("a.test"); got != codes.OK {
			t.Errorf("a call of the method that a rule names: %s", got)
		}
		if got := call("a.test", "x-team", "missing"); got != codes.Unavailable {
			t.Errorf("a call for a backend that does not exist: %s, want Unavailable", got)
		}
		if got := call("b.test"); got != codes.Unimplemented {
			t.Errorf("a call that no rule is for: %s, want Unimplemented", got)
		}
		if got := do(t, p.transport(80), request(t, "POST a.test"+check)); got.echo.Backend != "web" {
			t.Errorf("a request of that path that is no gRPC: %d from %q, want web", got.status, got.echo.Backend)
		}
		if got := do(t, p.transport(80), request(t, "POST b.test/other.Service/Get")); got.status != http.StatusNotFound {
			t.Errorf("a request that is no gRPC, where there are gRPC rules only: %d, want 404", got.status)
		}
	})
}

package envoy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/rutter-gateway/rutter/projector/route"
)

// asked is what an authorization server was told, the newest last.
type asked struct {
	mu   sync.Mutex
	list []string
}

func (a *asked) add(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, fmt.Sprintf(format, args...))
}

// take are those since the last time.
func (a *asked) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := strings.Join(a.list, ", ")
	a.list = nil
	return out
}

// gatekeeper lets in who has a token, and says in headers who it is.
func (a *asked) gatekeeper(name string, says http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.add("%s %s %s%s %d", name, r.Method, r.Host, r.RequestURI, len(body))
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("Www-Authenticate", "Bearer")
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Tenant", r.Header.Get("Authorization"))
		maps.Copy(w.Header(), says)
	})
}

func TestAListenerAsksBeforeARouteIsChosen(t *testing.T) {
	chain := httpChain(80)
	chain.Auth = []route.ListenerAuth{{Listener: "asks", Filters: []route.ExternalAuth{
		{Cluster: "first", Prefix: "/check"}, {Cluster: "second", ResponseHeaders: []string{"x-order", "x-tenant", "host", scopeHeader}},
	}}}
	w := newWorld(route.LayoutPlain, chain)
	for _, name := range []string{"one", "rest", "free", "first", "second"} {
		w.cluster(name, route.HTTP1)
	}
	tenant := prefix("/app")
	tenant.Headers = []route.ValueMatch{{Name: "x-tenant", Kind: route.Exact, Value: "one"}}
	for _, hostname := range []string{"a.test", "*.w.test"} {
		w.host("http-80", hostname, entry(tenant, rule("one")), entry(prefix("/app"), rule("rest"))).Auth = "asks"
	}
	w.host("http-80", "b.test", entry(prefix("/app"), rule("free")))
	w.host("http-80", "*.free.test", entry(prefix("/app"), rule("free")))
	b, seen := newBackends(t, "one", "rest", "free"), &asked{}
	b.start(t, "first", seen.gatekeeper("first", http.Header{"X-Order": {"1"}, "X-First": {"yes"}, "Host": {"b.test"}, "Transfer-Encoding": {"identity"}}))
	b.start(t, "second", seen.gatekeeper("second", http.Header{"X-Order": {"2"}, "X-Second": {"yes"}, "Host": {"b.test"}, http.CanonicalHeaderKey(scopeHeader): {"http-80/b.test"}}))
	const token = "Authorization: "
	eachLayout(t, w, b, func(t *testing.T, p *proxy) {
		for _, c := range []struct {
			line, header string
			status       int
			backend      string
			asked        string
		}{
			{"GET a.test/app?q=1", "", 401, "", "first GET a.test/check/app?q=1 0"},
			{"GET A.Test/app", "", 401, "", "first GET A.Test/check/app 0"},
			{"GET a.test:80/app", "", 401, "", "first GET a.test:80/check/app 0"},
			{"GET a.test./app", "", 401, "", "first GET a.test/check/app 0"},
			{"GET x.y.w.test/app", "", 401, "", "first GET x.y.w.test/check/app 0"},
			{"GET X.W.TEST/app", "", 401, "", "first GET X.W.TEST/check/app 0"},
			{"GET a.test/nowhere", "", 401, "", "first GET a.test/check/nowhere 0"},
			{"GET a.test/app", "X-Tenant: one", 401, "", "first GET a.test/check/app 0"},
			{"GET a.test/nowhere", token + "one", 404, "", "first GET a.test/check/nowhere 0, second GET a.test/nowhere 0"},
			{"GET a.test/app", token + "one", 200, "one", "first GET a.test/check/app 0, second GET a.test/app 0"},
			{"PUT A.TEST/app", token + "one", 200, "one", "first PUT A.TEST/check/app 0, second PUT A.TEST/app 0"},
			{"GET x.w.test/app", token + "one", 200, "one", "first GET x.w.test/check/app 0, second GET x.w.test/app 0"},
			{"GET a.test/app", token + "two", 200, "rest", "first GET a.test/check/app 0, second GET a.test/app 0"},
			{"GET b.test/app", "", 200, "free", ""},
			{"GET B.TEST/app", "", 200, "free", ""},
			{"GET x.free.test/app", "", 200, "free", ""},
			{"GET b.test/nowhere", "", 404, "", ""},
			{"GET nobody.test/app", "", 404, "", ""},
			{"GET b.test/app", strings.ReplaceAll(scopeHeader, "x-", "X-") + ": http-80/a.test", 200, "free", ""},
		} {
			var headers []string
			if c.header != "" {
				headers = []string{c.header}
			}
			got := do(t, p.transport(80), request(t, c.line, headers...))
			if told := seen.take(); got.status != c.status || got.echo.Backend != c.backend || told != c.asked {
				t.Errorf("%s %s: %d from %q after %q, want %d from %q after %q", c.line, c.header, got.status, got.echo.Backend, told, c.status, c.backend, c.asked)
			}
			if got.status == 401 && got.header.Get("Www-Authenticate") != "Bearer" {
				t.Errorf("%s: the server's answer is %v", c.line, got.header)
			}
			if host, _, _ := strings.Cut(strings.TrimPrefix(c.line, "GET "), "/"); got.echo.Backend == "one" && strings.HasPrefix(c.line, "GET ") {
				h := got.echo.Header
				if got.echo.Host != host || h.Get("X-Order") != "2" || h.Get("X-First") != "yes" || h.Get("X-Second") != "" {
					t.Errorf("%s: the backend saw %s with %v", c.line, got.echo.Host, h)
				}
			}
		}
	})
}

func TestAServerIsToldOfTheRequestWhatTheFilterSays(t *testing.T) {
	chain := httpChain(80)
	chain.Auth = []route.ListenerAuth{{Listener: "l", Filters: []route.ExternalAuth{{Cluster: "auth", MaxBody: 100 << 10, RequestHeaders: []string{"x-told"}}}}}
	w := newWorld(route.LayoutPlain, chain)
	w.cluster("auth", route.HTTP1)
	w.cluster("web", route.HTTP1)
	w.host("http-80", "*", entry(prefix("/"), rule("web"))).Auth = "l"
	b, seen := newBackends(t, "web"), &asked{}
	b.start(t, "auth", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.add("%d %q %q", len(body), r.Header.Get("X-Told"), r.Header.Get("X-Secret"))
	}))
	eachLayout(t, w, b, func(t *testing.T, p *proxy) {
		for _, c := range []struct {
			size, status int
			told         string
		}{{0, 200, `0 "yes" ""`}, {64 << 10, 200, `65536 "yes" ""`}, {200 << 10, 413, ""}} {
			r := request(t, "POST a.test/", "X-Told: yes", "X-Secret: s")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", c.size))), int64(c.size)
			got := do(t, p.transport(80), r)
			if told := seen.take(); got.status != c.status || told != c.told {
				t.Errorf("%d bytes: %d, and the server was told %q", c.size, got.status, told)
			}
		}
	})
}

func TestNobodyIsLetInByAServerThatCannotBeAsked(t *testing.T) {
	for name, auth := range map[string]route.ExternalAuth{"http": {Cluster: "auth"}, "grpc": {Cluster: "auth", GRPC: true}} {
		t.Run(name, func(t *testing.T) {
			chain := httpChain(80)
			chain.Auth = []route.ListenerAuth{{Listener: "l", Filters: []route.ExternalAuth{auth}}}
			w := newWorld(route.LayoutPlain, chain)
			w.cluster("auth", route.H2C)
			w.cluster("web", route.HTTP1)
			w.host("http-80", "*", entry(prefix("/"), rule("web"))).Auth = "l"
			b := newBackends(t, "web")
			b.refuse(t, "auth")
			eachLayout(t, w, b, func(t *testing.T, p *proxy) {
				if got := do(t, p.transport(80), request(t, "GET a.test/", "Authorization: x")); got.status != 403 {
					t.Errorf("it is answered with %d", got.status)
				}
			})
		})
	}
}

// authServer speaks Envoy's protocol.
type authServer struct {
	authv3.UnimplementedAuthorizationServer
	asked *asked
}

func (s authServer) Check(_ context.Context, in *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	r := in.GetAttributes().GetRequest().GetHttp()
	s.asked.add("%s %s%s %q %d", r.GetMethod(), r.GetHost(), r.GetPath(), r.GetHeaders()["x-who"]+r.GetHeaders()[scopeHeader], len(r.GetBody()))
	who := r.GetHeaders()["x-who"]
	if who == "" {
		return &authv3.CheckResponse{Status: &statuspb.Status{Code: int32(codes.PermissionDenied)}, HttpResponse: &authv3.CheckResponse_DeniedResponse{
			DeniedResponse: &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode_PaymentRequired}},
		}}, nil
	}
	set := func(name, value string) *corev3.HeaderValueOption {
		return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}}
	}
	return &authv3.CheckResponse{Status: &statuspb.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
		Headers: []*corev3.HeaderValueOption{
			set("x-tenant", who), set(":path", "/app/moved"), set(":authority", "b.test"), set("host", "b.test"), set(scopeHeader, "http-80/b.test"),
		},
		HeadersToRemove: []string{"x-who", "host", scopeHeader},
	}}}, nil
}

func TestAServerIsAskedInTheProtocolOfEnvoy(t *testing.T) {
	chain := route.Chain{ID: "https-443-l", Port: 443, TLS: true, Certificates: []string{"default/a.test"}}
	chain.Auth = []route.ListenerAuth{{Listener: "l", Filters: []route.ExternalAuth{{Cluster: "auth", GRPC: true, MaxBody: 10}}}}
	w := newWorld(route.LayoutPlain, chain)
	w.certificate(t, "a.test")
	w.cluster("auth", route.H2C)
	for _, name := range []string{"moved", "rest", "free"} {
		w.cluster(name, route.HTTP1)
	}
	moved := prefix("/app/moved")
	moved.Headers = []route.ValueMatch{{Name: "x-tenant", Kind: route.Exact, Value: "anna"}}
	w.host(chain.ID, "a.test", entry(moved, rule("moved")), entry(prefix("/"), rule("rest"))).Auth = "l"
	w.host(chain.ID, "b.test", entry(prefix("/"), rule("free")))
	b, seen := newBackends(t, "moved", "rest", "free"), &asked{}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, authServer{asked: seen})
	b.start(t, "auth", server)
	eachLayout(t, w, b, func(t *testing.T, p *proxy) {
		got, err := p.ask(t, 443, nil)
		if err != nil || got.status != 402 || seen.take() != `GET a.test/ "" 0` {
			t.Errorf("without a name: %d, %v", got.status, err)
		}
		got, err = p.ask(t, 443, nil, "X-Who: anna")
		if told := seen.take(); err != nil || got.status != 200 || got.echo.Backend != "moved" || told != `GET a.test/ "anna" 0` {
			t.Errorf("with a name: %d from %s, %v; asked %s", got.status, got.echo.Backend, err, told)
		}
		if got.echo.Host != "a.test" || got.echo.URI != "/app/moved" || got.echo.Header.Get("X-Who") != "" {
			t.Errorf("the backend saw %+v", got.echo)
		}
	})
}

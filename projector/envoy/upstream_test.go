package envoy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/route"
)

// identity is a certificate of a backend, which is its own authority.
func identity(t testing.TB, uri string, names ...string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{DNSNames: names, IsCA: true, BasicConstraintsValid: true}
	if uri != "" {
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = []*url.URL{parsed}
	}
	der, key := selfSigned(t, template)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// startTLS adds an endpoint that speaks HTTP/1.1 and HTTP/2 over TLS.
func (b *backends) startTLS(t testing.TB, name string, secure *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(b.echo(t, name))
	s.EnableHTTP2 = true
	s.TLS = secure
	s.StartTLS()
	t.Cleanup(s.Close)
	b.addresses[name] = append(b.addresses[name], s.Listener.Addr().String())
}

// trust adds the authorities ca/<name>.
func (w *world) trust(name string, certificates ...tls.Certificate) string {
	s := &route.Secret{
		ID:  route.SecretID{Gateway: testGateway, Name: "ca/" + name},
		Key: events.Key{Resource: events.ConfigMaps, Namespace: "default", Name: name}, System: len(certificates) == 0,
	}
	for _, c := range certificates {
		s.Authorities = append(s.Authorities, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})...)
	}
	w.secrets[s.ID] = s
	return s.ID.Name
}

// secure makes a cluster one that is reached over TLS.
func (w *world) secure(name string, p route.Protocol, ca, hostname string, names ...route.AltName) {
	w.cluster(name, p)
	if len(names) == 0 {
		names = []route.AltName{{Value: hostname}}
	}
	w.clusters[route.ClusterID{Gateway: testGateway, Name: name}].TLS = &route.BackendTLS{CA: ca, Hostname: hostname, Names: names}
}

func TestABackendMustIdentifyItselfAsItsPolicySays(t *testing.T) {
	w, b := newWorld(route.LayoutPlain, httpChain(80)), newBackends(t)
	backend := identity(t, "spiffe://mesh/shop", "shop.internal", "*.wild.internal")
	ours, foreign := w.trust("ours", backend, identity(t, "", "x")), w.trust("foreign", identity(t, "", "shop.internal"))
	dns := func(name string) route.AltName { return route.AltName{Value: name} }
	uri := func(name string) route.AltName { return route.AltName{URI: true, Value: name} }
	cases := []struct {
		name, ca, hostname string
		names              []route.AltName
		protocol           route.Protocol
		passes             bool
	}{
		{"named", ours, "shop.internal", nil, route.HTTP1, true},
		{"h2", ours, "shop.internal", nil, route.H2C, true},
		{"wildcard-of-the-certificate", ours, "a.wild.internal", nil, route.HTTP1, true},
		{"two-labels", ours, "a.b.wild.internal", nil, route.HTTP1, false},
		{"another-name", ours, "other.internal", nil, route.HTTP1, false},
		{"another-authority", foreign, "shop.internal", nil, route.HTTP1, false},
		{"authorities-of-the-system", w.trust("system"), "shop.internal", nil, route.HTTP1, false},
		{"uri", ours, "other.internal", []route.AltName{uri("spiffe://mesh/shop")}, route.HTTP1, true},
		{"another-uri", ours, "shop.internal", []route.AltName{uri("spiffe://mesh/cart")}, route.HTTP1, false},
		{"one-of-two", ours, "other.internal", []route.AltName{uri("spiffe://mesh/cart"), dns("shop.internal")}, route.WebSocket, true},
		{"wildcard-of-the-policy", ours, "other.internal", []route.AltName{dns("*.internal")}, route.HTTP1, true},
		{"another-wildcard", ours, "shop.internal", []route.AltName{dns("*.nal")}, route.HTTP1, false},
		{"a-name-that-is-no-uri", ours, "shop.internal", []route.AltName{uri("shop.internal")}, route.HTTP1, false},
	}
	var entries []route.Entry
	for _, c := range cases {
		w.secure(c.name, c.protocol, c.ca, c.hostname, c.names...)
		b.startTLS(t, c.name, &tls.Config{Certificates: []tls.Certificate{backend}})
		entries = append(entries, entry(exactly("/"+c.name), rule(c.name)))
	}
	w.host("http-80", "a.test", entries...)
	eachLayout(t, w, b, func(t *testing.T, p *proxy) {
		for _, c := range cases {
			got := do(t, p.transport(80), request(t, "GET a.test/"+c.name))
			if !c.passes {
				if got.status != http.StatusServiceUnavailable {
					t.Errorf("%s: %d, want 503", c.name, got.status)
				}
				continue
			}
			proto := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[c.protocol == route.H2C]
			if got.status != 200 || got.echo.ServerName != c.hostname || got.echo.Proto != proto {
				t.Errorf("%s: %d, the backend was asked for %q in %s", c.name, got.status, got.echo.ServerName, got.echo.Proto)
			}
			if got.echo.Header.Get("X-Forwarded-Proto") != "http" {
				t.Errorf("%s: X-Forwarded-Proto %q", c.name, got.echo.Header.Get("X-Forwarded-Proto"))
			}
		}
	})
}

func TestAMirrorIsReachedOverTLSToo(t *testing.T) {
	w, b := newWorld(route.LayoutPlain, httpChain(80)), newBackends(t, "web")
	backend := identity(t, "", "copy.internal")
	w.cluster("web", route.HTTP1)
	w.secure("copy", route.HTTP1, w.trust("ours", backend), "copy.internal")
	b.startTLS(t, "copy", &tls.Config{Certificates: []tls.Certificate{backend}})
	w.host("http-80", "a.test", entry(prefix("/"), filtered(route.Filters{Mirrors: []route.Mirror{{Cluster: "copy", Numerator: 1, Denominator: 1}}}, "web")))
	p := serve(t, w, b)
	if got := do(t, p.transport(80), request(t, "GET a.test/")); got.echo.Backend != "web" {
		t.Errorf("%d from %q", got.status, got.echo.Backend)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for tick := time.NewTicker(time.Millisecond); b.requests("copy") == 0; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the copy never arrives")
		}
	}
}

func TestGRPCOverTLS(t *testing.T) {
	w, b := newWorld(route.LayoutScoped, httpChain(80)), newBackends(t)
	backend := identity(t, "", "grpc.internal")
	ca := w.trust("ours", backend)
	var entries []route.Entry
	for name, hostname := range map[string]string{"right/grpc": "grpc.internal", "wrong/grpc": "other.internal"} {
		w.secure(name, route.H2C, ca, hostname)
		b.startGRPC(t, name, grpc.Creds(credentials.NewServerTLSFromCert(&backend)))
		m := grpcMatch(prefix("/"), "", "")
		m.Headers = []route.ValueMatch{{Name: "x-to", Kind: route.Exact, Value: name}}
		entries = append(entries, route.Entry{Name: "grpc/default/" + name + "/0", Match: m, Rule: rule(name)})
	}
	w.host("http-80", "a.test", entries...)
	p := serve(t, w, b)
	conn := p.dialGRPC("a.test")
	defer conn.Close()
	for name, want := range map[string]codes.Code{"right/grpc": codes.OK, "wrong/grpc": codes.Unavailable} {
		if _, err := healthv1.NewHealthClient(conn).Check(metadata.AppendToOutgoingContext(t.Context(), "x-to", name), &healthv1.HealthCheckRequest{}); status.Code(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestTLSThatEndsHereGoesOnAsThePolicySaysAndWhatPassesThroughAsItCame(t *testing.T) {
	w := newWorld(route.LayoutScoped,
		route.Chain{ID: "tls-443-end", Port: 443, Stream: route.StreamTCP, TLS: true, Certificates: []string{"default/front.test"}},
		route.Chain{ID: "tls-443-pass", Port: 443, Stream: route.StreamTCP, Passthrough: true})
	w.certificate(t, "front.test")
	b := newBackends(t)
	backend := identity(t, "", "back.test")
	w.secure("s/tcp/tls/p", route.Opaque, w.trust("ours", backend), "back.test")
	w.cluster("s/tcp", route.Opaque)
	b.startTCP(t, "s/tcp", &tls.Config{Certificates: []tls.Certificate{backend}})
	b.addresses["s/tcp/tls/p"] = b.addresses["s/tcp"]
	both := rule("s/tcp/tls/p")
	both.Backends[0].Passthrough = "s/tcp"
	w.host("tls-443-end", "end.test", entry(prefix("/"), both))
	w.host("tls-443-pass", "pass.test", entry(prefix("/"), both))
	p := serve(t, w, b)
	for sni, certificate := range map[string]string{"end.test": "front.test", "pass.test": "back.test"} {
		conn, err := tls.Dial("tcp", p.ports["port-443"], &tls.Config{ServerName: sni, InsecureSkipVerify: true}) // the certificates of a test
		if err != nil {
			t.Fatal(err)
		}
		names := conn.ConnectionState().PeerCertificates[0].DNSNames
		if got := greeting(t, conn); got != "s/tcp" || names[0] != certificate {
			t.Errorf("%s meets %q with the certificate of %v", sni, got, names)
		}
	}
}

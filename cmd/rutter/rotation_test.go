package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// callers is a backend that takes any client's certificate, and notes whose came last.
type callers struct {
	*httptest.Server
	mu   sync.Mutex
	last string
	from string // by which connection
}

func newCallers(t *testing.T, cert, key []byte) *callers {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	must(t, err)
	c := &callers{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.last = "nobody"; len(q.TLS.PeerCertificates) > 0 {
			c.last = q.TLS.PeerCertificates[0].DNSNames[0]
		}
		c.from = q.RemoteAddr
	}))
	c.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

func (c *callers) caller() (name, from string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.from
}

// visitor is a client with a certificate, and what it saw of the Gateway.
type visitor struct {
	transport http.RoundTripper
	kept      *keptTransport // nil where each request has a connection of its own
	presented atomic.Pointer[x509.Certificate]
	resumed   atomic.Bool // a TLS session
}

func newVisitor(t *testing.T, keep bool, cert, key []byte) *visitor {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	must(t, err)
	v := &visitor{}
	config := &tls.Config{
		ServerName: "web.example.com", InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, //nolint:gosec // the certificate itself is looked at
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
		VerifyConnection: func(s tls.ConnectionState) error {
			v.presented.Store(s.PeerCertificates[0])
			v.resumed.Store(s.DidResume)
			return nil
		},
	}
	if !keep {
		v.transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}
		return v
	}
	v.kept = &keptTransport{tls: config}
	v.transport = v.kept
	t.Cleanup(v.kept.CloseIdleConnections)
	return v
}

func (v *visitor) asks(r *rig) error {
	status, _, err := get(r.t.Context(), v.transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), "web.example.com")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// Each certificate that a Gateway has or trusts is replaced, while a client and a backend
// keep the connections that they have.
func TestCertificatesRotateWithoutDroppingAConnection(t *testing.T) {
	for _, layout := range []string{"scoped", "plain"} {
		t.Run(layout, func(t *testing.T) {
			r := newRig(t)
			type pair struct{ cert, key []byte }
			certificate := func(name string) (p pair) {
				p.cert, p.key = gwtest.Certificate(t, name)
				return p
			}
			server, next := certificate("web.example.com"), certificate("web.example.com")
			client, other := certificate("anna.test"), certificate("bert.test")
			own, renewed := certificate("gateway.one"), certificate("gateway.two")
			internal := certificate("web.internal")
			backend := newCallers(t, internal.cert, internal.key)
			r.save("server", secret("server", server.cert, server.key))
			r.save("own", secret("own", own.cert, own.key))
			r.save("clients", strings.Replace(authorities(client.cert), "name: ca", "name: clients", 1))
			r.save("ca", authorities(internal.cert))
			r.save("gateway", class+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  tls:
    frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}
    backend: {clientCertificateRef: {name: own}}
  listeners: [{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: server}]}}]
`, r.port))
			r.save("web", routeManifest("web", "/", backend.Listener.Addr().(*net.TCPAddr).Port)+policyManifest("web", "web.internal"))
			r.start("--route-layout", layout)

			kept := newVisitor(t, true, client.cert, client.key)
			anna, bert := newVisitor(t, false, client.cert, client.key), newVisitor(t, false, other.cert, other.key)
			must(t, kept.asks(r))
			by, from := backend.caller()
			if by != "gateway.one" {
				t.Errorf("the backend is called by %s", by)
			}
			must(t, anna.asks(r))
			if must(t, anna.asks(r)); !anna.resumed.Load() {
				t.Error("no session is resumed while nothing has changed")
			}
			if err := bert.asks(r); err == nil {
				t.Error("a client of another authority is let in")
			}
			r.save("server", secret("server", next.cert, next.key))
			r.eventually("new connections get the new certificate", func() error {
				err := anna.asks(r)
				if leaf, _ := tls.X509KeyPair(next.cert, next.key); err == nil && !anna.presented.Load().Equal(leaf.Leaf) {
					err = errors.New("it is the old one")
				}
				return err
			})
			must(t, kept.asks(r))
			r.save("own", secret("own", renewed.cert, renewed.key))
			r.save("clients", strings.Replace(authorities(other.cert), "name: ca", "name: clients", 1))
			r.eventually("clients of the new authority are let in", func() error { return bert.asks(r) })
			r.eventually("and those of the old one are not, whatever sessions they have", func() error {
				if err := anna.asks(r); err == nil {
					return errors.New("one is")
				}
				return nil
			})
			must(t, kept.asks(r))
			if n := kept.kept.dialled; n != 1 {
				t.Errorf("the client needed %d connections", n)
			}
			if _, now := backend.caller(); now != from {
				t.Errorf("the backend was reached from %s, and now from %s", from, now)
			}
			backend.CloseClientConnections()
			r.eventually("new connections to the backend show the new certificate", func() error {
				err := bert.asks(r)
				if by, _ := backend.caller(); err == nil && by != "gateway.two" {
					err = errors.New(by)
				}
				return err
			})
			r.verified()
			r.stop()
			r.holdsNoPrivateKey(server.key, next.key, own.key, renewed.key)
		})
	}
}

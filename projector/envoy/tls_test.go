package envoy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/route"
)

// certificate adds a self-signed certificate for a name, in a Secret of that name.
func (w *world) certificate(t *testing.T, name string) {
	t.Helper()
	der, key := selfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}})
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := route.SecretID{Gateway: testGateway, Name: "default/" + name}
	w.secrets[id] = &route.Secret{
		ID: id, Key: events.Key{Resource: events.Secrets, Namespace: "default", Name: name},
		CertificateChain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		SealedKey:        pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// selfSigned makes a certificate, valid now, of a template.
func selfSigned(t testing.TB, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func TestTLSListenersAreChosenByNameAndRefuseForeignHosts(t *testing.T) {
	chain := func(id, server, certificate string) route.Chain {
		return route.Chain{ID: id, Port: 443, TLS: true, ServerName: server, Certificates: []string{"default/" + certificate}}
	}
	w := newWorld(route.LayoutPlain, chain("https-443-a", "a.test", "a.test"), chain("https-443-any", "", "any.test"), chain("https-443-w", "*.w.test", "w.test"))
	for _, name := range []string{"a.test", "any.test", "w.test"} {
		w.certificate(t, name)
	}
	w.cluster("a", route.HTTP1)
	w.cluster("w", route.H2C)
	w.cluster("any", route.HTTP1)
	w.host("https-443-a", "a.test", entry(prefix("/"), rule("a")), entry(exactly("/redirect"), rule()))
	w.host("https-443-w", "*.w.test", entry(prefix("/"), rule("w")))
	w.host(route.MisdirectedChain(443), "a.test").Misdirected = true
	w.host(route.MisdirectedChain(443), "*.w.test").Misdirected = true
	w.host("https-443-any", "*", entry(exactly("/go"), filtered(route.Filters{Redirect: &route.Redirect{Path: &route.PathChange{Full: new("/to")}}})), entry(prefix("/"), rule("any")))
	w.host("https-443-any", "a.test").Misdirected = true
	w.host("https-443-any", "*.w.test").Misdirected = true
	eachLayout(t, w, newBackends(t, "a", "w", "any"), func(t *testing.T, p *proxy) {
		for _, c := range []struct {
			sni, host, certificate, backend string
			status                          int
		}{
			{"a.test", "a.test", "a.test", "a", 200},
			{"a.test", "A.test:443", "a.test", "a", 200},
			{"a.test", "x.w.test", "a.test", "", 421},
			{"a.test", "X.W.test.:443", "a.test", "", 421},
			{"a.test", "other.test", "a.test", "", 404},
			{"x.w.test", "other.test", "w.test", "", 404},
			{"x.y.w.test", "x.w.test", "w.test", "w", 200},
			{"x.w.test", "a.test", "w.test", "", 421},
			{"x.w.test", "A.TEST.", "w.test", "", 421},
			{"other.test", "other.test", "any.test", "any", 200},
			{"other.test", "x.w.test:443", "any.test", "", 421},
			{"other.test", "a.test", "any.test", "", 421},
		} {
			for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
				tr := p.transport(443)
				tr.ForceAttemptHTTP2 = version == "HTTP/2.0"
				tr.TLSClientConfig = &tls.Config{ServerName: c.sni, InsecureSkipVerify: true} // the certificates of a test
				r := request(t, "GET "+c.host+"/x")
				r.URL.Scheme = "https"
				var certificate, spoken string
				got := do(t, roundTrip(func(r *http.Request) (*http.Response, error) {
					response, err := tr.RoundTrip(r)
					if err == nil {
						certificate, spoken = response.TLS.PeerCertificates[0].Subject.CommonName, response.Proto
					}
					return response, err
				}), r)
				if got.status != c.status || got.echo.Backend != c.backend || certificate != c.certificate || spoken != version {
					t.Errorf("%+v over %s: %d from %q with the certificate of %s over %s", c, version, got.status, got.echo.Backend, certificate, spoken)
				}
				if c.backend == "w" && got.echo.Proto != "HTTP/2.0" {
					t.Errorf("the h2c backend was spoken to in %s", got.echo.Proto)
				}
				if got.status == 200 && got.echo.Header.Get("X-Forwarded-Proto") != "https" {
					t.Errorf("X-Forwarded-Proto %q", got.echo.Header.Get("X-Forwarded-Proto"))
				}
			}
		}
		tr := p.transport(443)
		tr.TLSClientConfig = &tls.Config{ServerName: "o.test", InsecureSkipVerify: true}
		r := request(t, "GET o.test/go?q=1")
		r.URL.Scheme = "https"
		if got := do(t, tr, r).header.Get("Location"); got != "https://o.test/to?q=1" {
			t.Errorf("Location %q", got)
		}
		old := &tls.Dialer{Config: &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}}
		if c, err := old.DialContext(t.Context(), "tcp", p.ports["port-443"]); err == nil {
			t.Errorf("TLS 1.1 is spoken")
			c.Close()
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func say(t *testing.T, w io.Writer, text string) {
	if _, err := io.WriteString(w, text); err != nil {
		t.Error(err)
	}
}

func TestUpgradedConnectionsPassBothWays(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("ws", route.WebSocket)
	w.host("http-80", "a.test", entry(prefix("/"), rule("ws")))
	b := newBackends(t)
	b.script(t, "ws", func(_ int, w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		say(t, conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, err := rw.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		say(t, conn, "you said "+line)
	})
	eachLayout(t, w, b, func(t *testing.T, p *proxy) {
		conn, err := net.Dial("tcp", p.ports["port-80"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		say(t, conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		r := bufio.NewReader(conn)
		response, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(response.Status)
		}
		say(t, conn, "hello\n")
		if line, err := r.ReadString('\n'); line != "you said hello\n" {
			t.Errorf("%q %v", line, err)
		}
	})
}

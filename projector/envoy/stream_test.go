package envoy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/projector/route"
)

// startTCP adds an endpoint that greets each connection with the name of its
// cluster; with a certificate, over TLS.
func (b *backends) startTCP(t testing.TB, name string, secure *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addresses[name] = append(b.addresses[name], l.Addr().String())
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name+"\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

// startUDP adds an endpoint that answers each datagram with the name of its cluster.
func (b *backends) startUDP(t testing.TB, name string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addresses[name] = append(b.addresses[name], conn.LocalAddr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 100)
		for {
			_, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo([]byte(name), from)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
}

// greeting is the name of the backend behind a connection; "" when it was closed.
func greeting(t *testing.T, conn net.Conn) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal(err)
	}
	if err != nil {
		return ""
	}
	return line[:len(line)-1]
}

func weighted(r *route.Rule, weights ...uint32) *route.Rule {
	for i, w := range weights {
		r.Backends[i].Weight = w
	}
	return r
}

func TestConnectionsAreSharedByWeightAndClosedForWhatIsMissing(t *testing.T) {
	chain := route.Chain{ID: "tcp-9000", Port: 9000, Stream: route.StreamTCP}
	w := newWorld(route.LayoutScoped, chain, route.Chain{ID: "tcp-9001", Port: 9001, Stream: route.StreamTCP})
	w.cluster("a/tcp", route.Opaque)
	w.cluster("b/tcp", route.Opaque)
	w.host("tcp-9000", "*", entry(prefix("/"), weighted(rule("a/tcp", "b/tcp", ""), 5, 3, 2)), entry(prefix("/"), rule("b/tcp")))
	b := newBackends(t)
	b.startTCP(t, "a/tcp", nil)
	b.startTCP(t, "b/tcp", nil)
	p := serve(t, w, b)
	const n = 2000
	seen := map[string]int{}
	for range n {
		conn, err := net.Dial("tcp", p.ports["port-9000"])
		if err != nil {
			t.Fatal(err)
		}
		seen[greeting(t, conn)]++
	}
	within(t, "a", seen["a/tcp"], n, 0.5)
	within(t, "b", seen["b/tcp"], n, 0.3)
	within(t, "closed", seen[""], n, 0.2)
	if _, listens := p.ports["port-9001"]; listens {
		t.Error("a port that nothing is forwarded from is listened on")
	}
}

func TestSessionsAreSharedByWeight(t *testing.T) {
	w := newWorld(route.LayoutScoped, route.Chain{ID: "udp-53", Port: 53, Stream: route.StreamUDP}, httpChain(53))
	for _, name := range []string{"a/udp", "b/udp", "c/udp"} {
		w.cluster(name, route.Opaque)
	}
	w.host("udp-53", "*", entry(prefix("/"), weighted(rule("a/udp", "b/udp", "c/udp"), 5, 3, 2)))
	b := newBackends(t)
	for _, name := range []string{"a/udp", "b/udp", "c/udp"} {
		b.startUDP(t, name)
	}
	p := serve(t, w, b)
	const n = 1000
	seen := map[string]int{}
	for range n {
		conn, err := net.Dial("udp", p.ports["udp-53"])
		if err != nil {
			t.Fatal(err)
		}
		first := ""
		for range 2 { // a session stays where it is
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 100)
			size, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			got := string(buffer[:size])
			if first != "" && got != first {
				t.Errorf("one session met %s and %s", first, got)
			}
			first = got
		}
		seen[first]++
		conn.Close()
	}
	within(t, "a", seen["a/udp"], n, 0.5)
	within(t, "b", seen["b/udp"], n, 0.3)
	within(t, "c", seen["c/udp"], n, 0.2)
}

func TestTLSIsForwardedByServerNameAndEndsWhereItShould(t *testing.T) {
	w := newWorld(route.LayoutScoped,
		route.Chain{ID: "https-443-web", Port: 443, TLS: true, ServerName: "web.test", Certificates: []string{"default/web.test"}},
		route.Chain{ID: "tls-443-end", Port: 443, Stream: route.StreamTCP, TLS: true, Certificates: []string{"default/end.test"}},
		route.Chain{ID: "tls-443-pass", Port: 443, Stream: route.StreamTCP, Passthrough: true})
	for _, name := range []string{"web.test", "end.test", "backend.test"} {
		w.certificate(t, name)
	}
	secret := w.secrets[route.SecretID{Gateway: testGateway, Name: "default/backend.test"}]
	pair, err := tls.X509KeyPair(secret.CertificateChain, secret.SealedKey)
	if err != nil {
		t.Fatal(err)
	}
	w.cluster("plain/tcp", route.Opaque)
	w.cluster("secure/tcp", route.Opaque)
	w.cluster("web", route.HTTP1)
	w.host("https-443-web", "web.test", entry(prefix("/"), rule("web")))
	w.host("tls-443-end", "end.test", entry(prefix("/"), rule("plain/tcp")))
	w.host("tls-443-pass", "*.pass.test", entry(prefix("/"), rule("secure/tcp")))
	w.host("tls-443-pass", "gone.pass.test", entry(prefix("/"), rule("")))
	b := newBackends(t, "web")
	b.startTCP(t, "plain/tcp", nil)
	b.startTCP(t, "secure/tcp", &tls.Config{Certificates: []tls.Certificate{pair}})
	p := serve(t, w, b)
	for _, c := range []struct{ sni, certificate, backend string }{
		{"end.test", "end.test", "plain/tcp"},
		{"a.pass.test", "backend.test", "secure/tcp"},
		{"gone.pass.test", "", ""},
		{"other.test", "", ""},
	} {
		conn, err := tls.Dial("tcp", p.ports["port-443"], &tls.Config{ServerName: c.sni, InsecureSkipVerify: true}) // the certificates of a test
		if (err != nil) != (c.certificate == "") {
			t.Errorf("%s: %v", c.sni, err)
		}
		if err != nil {
			continue
		}
		certificate := conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		if got := greeting(t, conn); got != c.backend || certificate != c.certificate {
			t.Errorf("%s meets %q with the certificate of %s, want %q with that of %s", c.sni, got, certificate, c.backend, c.certificate)
		}
	}
	tr := p.transport(443)
	tr.TLSClientConfig = &tls.Config{ServerName: "web.test", InsecureSkipVerify: true}
	r := request(t, "GET web.test/")
	r.URL.Scheme = "https"
	if got := do(t, tr, r); got.echo.Backend != "web" {
		t.Errorf("HTTPS beside TLS on one port: %d", got.status)
	}
}

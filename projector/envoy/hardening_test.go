package envoy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"golang.org/x/net/http2"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/projector/parameters"
	"github.com/rutter-gateway/rutter/projector/route"
)

// edgeWorld has a backend for what begins with /secret, and one for all else.
func edgeWorld(edge parameters.Edge) *world {
	w := newWorld(route.LayoutScoped, httpChain(80))
	w.gateways[testGateway].Edge = edge
	w.cluster("open", route.HTTP1)
	w.cluster("secret", route.HTTP1)
	w.host("http-80", "a.test", entry(prefix("/secret"), rule("secret")), entry(prefix("/"), rule("open")))
	return w
}

// getRequest is a request as it goes over the wire.
func getRequest(target string, headers ...string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n", target, strings.Join(append(headers, ""), "\r\n"))
}

func TestClientsCanSendHeadersToALimit(t *testing.T) {
	p := serve(t, edgeWorld(parameters.Edge{}), newBackends(t, "open", "secret"))
	many := func(n int) []string { return slices.Repeat([]string{"x: y"}, n) }
	for _, c := range []struct {
		what    string
		headers []string
		want    int
	}{
		{"few", many(10), 200},
		{"not too many", many(90), 200},
		{"too many", many(101), 431},
		{"large", []string{"x: " + strings.Repeat("y", 50<<10)}, 200},
		{"too large", []string{"x: " + strings.Repeat("y", 61<<10)}, 431},
		{"large together", slices.Repeat([]string{"x: " + strings.Repeat("y", 6<<10)}, 11), 431},
		{"with an underscore", []string{"a_b: c"}, 200},
	} {
		got := raw(t, p.ports["port-80"], "", getRequest("/", c.headers...))
		if got.Status != c.want {
			t.Errorf("%s: %d, want %d", c.what, got.Status, c.want)
		}
		if c.what == "with an underscore" && got.Echo.Header.Get("a_b") != "c" {
			t.Errorf("%s: the backend sees %v", c.what, got.Echo.Header)
		}
	}
}

// However a path is spelt, the rule that it meets is that of the path which the backend sees.
func TestNoSpellingOfAPathGoesAroundARule(t *testing.T) {
	p := serve(t, edgeWorld(parameters.Edge{}), newBackends(t, "open", "secret"))
	for _, c := range []struct {
		target  string
		status  int
		backend string
		path    string // that the backend sees, or that the client is sent to
	}{
		{"/x", 200, "open", "/x"},
		{"/open/../secret", 200, "secret", "/secret"},
		{"/open/%2e%2E/secret", 200, "secret", "/secret"},
		{"/./secret", 200, "secret", "/secret"},
		{"//secret", 200, "secret", "/secret"},
		{"/se%63ret", 200, "secret", "/secret"},
		{"/secret/../x?a=/../b", 200, "open", "/x?a=/../b"},
		{"/../secret", 200, "secret", "/secret"},
		{"/open/..%2Fsecret", 307, "", "/secret"},
		{"/open%2F..%5csecret", 307, "", "/secret"},
		{"/open%00/secret", 400, "", ""},
	} {
		got := raw(t, p.ports["port-80"], "", getRequest(c.target))
		path := got.Echo.URI
		if c.status == 307 {
			path = strings.TrimPrefix(http.Header(got.Headers).Get("Location"), "http://a.test")
		}
		if got.Status != c.status || got.Echo.Backend != c.backend || path != c.path {
			t.Errorf("%s: %d from %q at %q, want %d from %q at %q", c.target, got.Status, got.Echo.Backend, path, c.status, c.backend, c.path)
		}
	}
}

// Who a client is, it does not say itself, but where a proxy in front is trusted to. What
// else it says in Envoy's own words is not for it to say.
func TestAClientIsWhoConnects(t *testing.T) {
	for _, c := range []struct {
		edge           parameters.Edge
		address, proto string
	}{
		{parameters.Edge{}, "127.0.0.1", "http"},
		{parameters.Edge{TrustedHops: 1}, "198.51.100.1", "https"},
	} {
		p := serve(t, edgeWorld(c.edge), newBackends(t, "open", "secret"))
		got := raw(t, p.ports["port-80"], "", getRequest("/", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https",
			"X-Envoy-External-Address: 198.51.100.2", "X-Envoy-Internal: true", "X-Envoy-Original-Path: /admin")).Echo.Header
		if address, proto := got.Get("X-Envoy-External-Address"), got.Get("X-Forwarded-Proto"); address != c.address || proto != c.proto {
			t.Errorf("%d trusted hops: the client is %s by %s, want %s by %s", c.edge.TrustedHops, address, proto, c.address, c.proto)
		}
		// It goes on, with who connected behind it: backends count from the end.
		if claimed := got.Get("X-Forwarded-For"); !strings.HasPrefix(claimed, "198.51.100.1,") {
			t.Errorf("X-Forwarded-For: %s", claimed)
		}
		for _, name := range []string{"X-Envoy-Internal", "X-Envoy-Original-Path"} {
			if got.Get(name) != "" {
				t.Errorf("the backend sees %s: %s", name, got.Get(name))
			}
		}
	}
}

// What never ends is ended: short limits stand for the usual ones.
func TestWhatAClientDoesNotFinishIsEnded(t *testing.T) {
	short := new(100 * time.Millisecond)
	for what, c := range map[string]struct {
		limit parameters.Edge
		sent  string
		want  int // 0: the connection is closed without an answer
	}{
		"headers":    {parameters.Edge{RequestHeadersTimeout: short}, "GET / HTTP/1.1\r\nHost: a.test\r\nX: ", 408},
		"body":       {parameters.Edge{StreamIdleTimeout: short}, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc", 408},
		"connection": {parameters.Edge{IdleTimeout: short}, "", 0},
	} {
		t.Run(what, func(t *testing.T) {
			p := serve(t, edgeWorld(c.limit), newBackends(t, "open", "secret"))
			conn := dial(t, p.ports["port-80"])
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			if c.want != 0 {
				answered(t, reader, c.want)
			}
			if _, err := reader.ReadByte(); !closed(err) {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
}

// answered reads a whole response.
func answered(t *testing.T, from *bufio.Reader, want int) {
	t.Helper()
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != want {
		t.Errorf("%d, %v, want %d", response.StatusCode, err, want)
	}
}

// dial connects, with a deadline for all that follows.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func closed(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// While TLS is not agreed on, no other timeout counts.
func TestATLSHandshakeHasALimit(t *testing.T) {
	w := newWorld(route.LayoutScoped, route.Chain{ID: "https-443-a", Port: 443, TLS: true, Certificates: []string{"default/cert"}},
		route.Chain{ID: "tls-444-a", Port: 444, TLS: true, Stream: route.StreamTCP, Certificates: []string{"default/cert"}})
	w.host("https-443-a", "a.test", entry(prefix("/"), rule()))
	w.host("tls-444-a", "a.test", entry(prefix("/"), rule()))
	found := 0
	for _, o := range outputs(t, w, w.everything()) {
		for _, r := range o.Resources {
			if r.Type != TypeListener {
				continue
			}
			for _, c := range decode(t, r, &listenerv3.Listener{}).FilterChains {
				if found++; c.GetTransportSocketConnectTimeout().AsDuration() != handshake {
					t.Errorf("%s: %s", c.Name, c.GetTransportSocketConnectTimeout())
				}
			}
		}
	}
	if found != 2 {
		t.Errorf("%d chains", found)
	}
}

func TestHTTP2ClientsAreToldWhatTheyMayAskFor(t *testing.T) {
	for _, c := range []struct {
		edge parameters.Edge
		want uint32
	}{{parameters.Edge{}, 100}, {parameters.Edge{MaxConcurrentStreams: new(uint32(7))}, 7}} {
		p := serve(t, edgeWorld(c.edge), newBackends(t, "open", "secret"))
		conn := dial(t, p.ports["port-80"])
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		framer := http2.NewFramer(conn, conn)
		if err := framer.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		settings, ok := frame.(*http2.SettingsFrame)
		if !ok {
			t.Fatalf("the first frame is %v", frame)
		}
		if streams, _ := settings.Value(http2.SettingMaxConcurrentStreams); streams != c.want {
			t.Errorf("%d concurrent streams, want %d", streams, c.want)
		}
		if window, _ := settings.Value(http2.SettingInitialWindowSize); window != 64<<10 {
			t.Errorf("a window of %d", window)
		}
	}
}

func TestConnectionsBeyondTheLimitAreRefused(t *testing.T) {
	p := serveWithin(t, edgeWorld(parameters.Edge{}), newBackends(t, "open", "secret"), unchanged, envoyproc.Config{MaxConnections: 1})
	first := dial(t, p.ports["port-80"])
	reader := bufio.NewReader(first)
	ask := func() {
		t.Helper()
		if _, err := io.WriteString(first, getRequest("/")); err != nil {
			t.Fatal(err)
		}
		answered(t, reader, 200)
	}
	ask()
	if _, err := dial(t, p.ports["port-80"]).Read(make([]byte, 1)); !closed(err) {
		t.Errorf("the second connection: %v", err)
	}
	ask()
}

func unchanged(r routing.Resource) routing.Resource { return r }

// An Envoy without memory refuses clients, and is still there for its administrator: a
// heap of one byte is always full.
func TestAnEnvoyWithoutMemoryRefusesClientsAndLivesOn(t *testing.T) {
	p := serveWithin(t, edgeWorld(parameters.Edge{}), newBackends(t, "open", "secret"), unchanged, envoyproc.Config{MaxHeap: 1})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		_, stats := get(p.admin, "http://admin/stats?filter=overload")
		missing := slices.DeleteFunc([]string{"stop_accepting_requests", "reject_incoming_connections", "shrink_heap"}, func(action string) bool {
			return strings.Contains(stats, "overload.envoy.overload_actions."+action+".active: 1\n")
		})
		if len(missing) == 0 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("not active: %v in\n%s", missing, stats)
		case <-tick.C:
		}
	}
	if _, err := dial(t, p.ports["port-80"]).Read(make([]byte, 1)); !closed(err) {
		t.Errorf("a connection: %v", err)
	}
	if status, _ := get(p.admin, "http://admin/ready"); status != 200 {
		t.Errorf("ready: %d", status)
	}
}

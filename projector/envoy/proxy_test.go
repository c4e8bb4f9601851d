package envoy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// patience is how long anything in these tests may take before it has failed.
const patience = 20 * time.Second

// proxy is a real Envoy that runs a world.
type proxy struct {
	t     testing.TB
	ports map[string]string // listener name → address
	admin *http.Client      // of http://admin
}

// findEnvoy is the Envoy to test with; there is no test without one.
func findEnvoy(t testing.TB) string {
	t.Helper()
	path, err := envoyproc.Find(t.Context(), gwtest.Envoy(t))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts an Envoy with a world and its backends, and waits until it serves.
// Listeners get a port of their own, whatever port they are said to have.
func serve(t testing.TB, w *world, backends *backends) *proxy {
	t.Helper()
	return serveAs(t, w, backends, func(r routing.Resource) routing.Resource { return r })
}

// serveAs is [serve] with each resource as change makes it.
func serveAs(t testing.TB, w *world, backends *backends, change func(routing.Resource) routing.Resource) *proxy {
	t.Helper()
	return serveWithin(t, w, backends, change, envoyproc.Config{})
}

// serveWithin is [serveAs] within the limits that a Config has.
func serveWithin(t testing.TB, w *world, backends *backends, change func(routing.Resource) routing.Resource, limits envoyproc.Config) *proxy {
	t.Helper()
	var resources []routing.Resource
	for _, o := range outputs(t, w, w.everything()) {
		for _, r := range o.Resources {
			resources = append(resources, change(runnable(t, r)))
		}
	}
	resources = append(resources, backends.endpoints(t, w)...)
	dir, err := os.MkdirTemp("", "rutter") //nolint:usetesting // the path of t.TempDir is too long for a socket in it
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var stopped sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		stopped.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	socket := serveADS(t, dir, resources)
	log := &lockedBuffer{}
	cfg := envoyproc.Config{
		Path: findEnvoy(t), NodeID: "test", Gateway: testGateway, XDS: socket, RunDir: dir, Concurrency: 1, Output: log,
		MaxConnections: limits.MaxConnections, MaxHeap: limits.MaxHeap,
		OnExit: func(err error, _ time.Duration) { t.Errorf("Envoy died: %v\n%s", err, log) },
	}
	stopped.Go(func() {
		if err := envoyproc.Run(ctx, cfg); err != nil {
			t.Error(err)
		}
	})
	p := &proxy{t: t, ports: map[string]string{}, admin: adminClient(cfg.AdminSocket())}
	p.waitReady(log)
	return p
}

// runnable lets a listener choose its port and puts the private key into a
// secret (as the xDS server does; in these tests it is not sealed).
func runnable(t testing.TB, r routing.Resource) routing.Resource {
	t.Helper()
	switch r.Type {
	case TypeListener:
		l := decode(t, r, &listenerv3.Listener{})
		l.Address.GetSocketAddress().PortSpecifier = &corev3.SocketAddress_PortValue{PortValue: 0}
		r.Body = marshal(t, l)
	case TypeSecret:
		s := decode(t, r, &tlsv3.Secret{})
		if c := s.GetTlsCertificate(); c != nil {
			c.PrivateKey = inline(r.Sealed)
		}
		r.Body = marshal(t, s)
	}
	return r
}

func decode[M proto.Message](t testing.TB, r routing.Resource, m M) M {
	t.Helper()
	if err := proto.Unmarshal(r.Body, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func adminClient(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
}

// waitReady waits until Envoy is live, then learns its ports.
func (p *proxy) waitReady(log fmt.Stringer) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if status, _ := get(p.admin, "http://admin/ready"); status == http.StatusOK {
			break
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("Envoy is not ready after %s; it says:\n%s", patience, log)
		case <-tick.C:
		}
	}
	_, body := get(p.admin, "http://admin/listeners")
	for line := range strings.Lines(body) {
		if name, address, ok := strings.Cut(strings.TrimSpace(line), "::"); ok {
			p.ports[name] = address
		}
	}
}

func get(client *http.Client, url string) (int, string) {
	response, err := client.Get(url)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return 0, ""
	}
	return response.StatusCode, body.String()
}

// reply is what a client saw, and what the backend that answered saw.
type reply struct {
	status int
	header http.Header
	echo   echo
}

// transport reaches a listener whatever host a request names. Its connections
// are closed with the test.
func (p *proxy) transport(port int32) *http.Transport {
	p.t.Helper()
	address := p.ports[fmt.Sprintf("port-%d", port)]
	if address == "" {
		p.t.Fatalf("no listener port-%d in %v", port, p.ports)
	}
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
		DisableCompression: true,
	}
	p.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// request makes a request: "GET host/path?query", then headers as "name: value".
func request(t testing.TB, line string, headers ...string) *http.Request {
	t.Helper()
	method, target, _ := strings.Cut(line, " ")
	host, path, _ := strings.Cut(target, "/")
	r, err := http.NewRequestWithContext(t.Context(), method, "http://ignored/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// do sends a request over a transport, without following redirects.
func do(t testing.TB, tr http.RoundTripper, r *http.Request) reply {
	t.Helper()
	response, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s%s: %v", r.Method, r.Host, r.URL.RequestURI(), err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	out := reply{status: response.StatusCode, header: response.Header}
	if response.Header.Get("Content-Type") == "application/json" && body.Len() > 0 {
		if err := json.Unmarshal(body.Bytes(), &out.echo); err != nil {
			t.Fatalf("%s: %v", body.String(), err)
		}
	}
	return out
}

// lockedBuffer collects what Envoy logs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

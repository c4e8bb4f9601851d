package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/envoyproc"
)

// samples is how many saves are measured per case: routes added, and as many changed.
const samples = 150

// sizes are the numbers of routes; RUTTER_BENCH_ROUTES chooses one.
func sizes(b *testing.B) []int {
	if text := os.Getenv("RUTTER_BENCH_ROUTES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		return []int{n}
	}
	return []int{100, 1_000, 10_000}
}

// BenchmarkSaveToServed measures from saving a file with a new route (own hostname,
// own Service) or a changed one until the first request is answered by it.
func BenchmarkSaveToServed(b *testing.B) {
	for _, n := range sizes(b) {
		for _, layout := range []string{"scoped", "plain"} {
			b.Run(fmt.Sprintf("%s/%d", layout, n), func(b *testing.B) { saveToServed(b, n, layout) })
		}
	}
}

func saveToServed(b *testing.B, n int, layout string) {
	w := newWorld(b, n, layout, envoyproc.Auto)
	poller := newPoller(w.port)
	var added, changed []time.Duration
	for i := range samples {
		name := fmt.Sprintf("new%d", i)
		calm()
		added = append(added, w.save(b, poller, name, "/"))
		calm()
		changed = append(changed, w.save(b, poller, name, "/changed"))
	}
	report(b, "added", added)
	report(b, "changed", changed)
	own, err := resident(w.command.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(own, "rutter-MiB")
	b.ReportMetric(0, "ns/op")
}

// save writes a route and polls until it answers.
func (w *world) save(b *testing.B, p *poller, name, path string) time.Duration {
	b.Helper()
	start := time.Now()
	if err := w.writeRoute(name, path); err != nil {
		b.Fatal(err)
	}
	// A changed route answers for its new path and no more for the old one.
	for time.Since(start) < 10*time.Second {
		status, err := p.get(name+".example.com", path)
		switch {
		case err != nil:
			b.Fatal(err)
		case status == http.StatusOK:
			if path == "/" {
				return time.Since(start)
			}
			if status, err = p.get(name+".example.com", "/"); err == nil && status == http.StatusNotFound {
				return time.Since(start)
			}
		case status != http.StatusNotFound:
			b.Fatalf("%s answered %d while it was added or changed, want 404 before and 200 after", name, status)
		}
		between()
	}
	b.Fatalf("%s is not served after 10 s", name)
	return 0
}

// BenchmarkSaveToXDS measures the part before Envoy: from saving a file until the
// route is on the wire of the xDS server.
func BenchmarkSaveToXDS(b *testing.B) {
	for _, n := range sizes(b) {
		for _, layout := range []string{"scoped", "plain"} {
			b.Run(fmt.Sprintf("%s/%d", layout, n), func(b *testing.B) { saveToXDS(b, n, layout) })
		}
	}
}

func saveToXDS(b *testing.B, n int, layout string) {
	w := newWorld(b, n, layout, "none")
	ctx, cancel := context.WithCancel(b.Context())
	arrivals, failed := make(chan arrival, 64), make(chan error, 1)
	go func() {
		failed <- follow(ctx, w.socket, "default/gw", []string{fmt.Sprintf("http-%d", w.port)}, arrivals)
	}()
	defer func() {
		cancel()
		if err := <-failed; err != nil {
			b.Error(err)
		}
	}()
	chain := fmt.Sprintf("http-%d", w.port)
	last := fmt.Sprintf("%s/r%d.example.com", chain, n-1)
	if layout == "plain" {
		last = chain
	}
	await(b, arrivals, failed, last)
	var added []time.Duration
	for i := range samples {
		calm()
		name := fmt.Sprintf("new%d", i)
		want := chain
		if layout == "scoped" {
			want = fmt.Sprintf("%s/%s.example.com", chain, name)
		}
		start := time.Now()
		if err := w.writeRoute(name, "/"); err != nil {
			b.Fatal(err)
		}
		added = append(added, await(b, arrivals, failed, want).Sub(start))
	}
	report(b, "added", added)
	b.ReportMetric(0, "ns/op")
}

// await is when the route or scope called name was sent.
func await(b *testing.B, arrivals <-chan arrival, failed <-chan error, name string) time.Time {
	b.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case a := <-arrivals:
			if a.name == name && (a.kind == scopeType || a.kind == routeType) {
				return a.at
			}
		case err := <-failed:
			b.Fatalf("the xDS stream ended: %v", err)
		case <-timeout:
			b.Fatalf("%s was not sent", name)
		}
	}
}

func report(b *testing.B, what string, d []time.Duration) {
	slices.Sort(d)
	ms := func(p float64) float64 {
		return float64(d[min(len(d)-1, int(p*float64(len(d))))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.50), what+"-p50-ms")
	b.ReportMetric(ms(0.99), what+"-p99-ms")
}

// newWorld serves n routes until the benchmark ends.
func newWorld(b *testing.B, n int, layout, envoy string) *world {
	b.Helper()
	rutter, err := filepath.Abs("../bin/rutter")
	if err == nil {
		_, err = os.Stat(rutter)
	}
	if err != nil {
		b.Fatalf("the benchmark runs the real binary; make build first: %v", err)
	}
	// Sockets have short paths; b.TempDir is too long for them.
	dir, err := os.MkdirTemp("", "rutter-bench-") //nolint:usetesting // see above
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{dir: filepath.Join(dir, "m"), port: freePort(b), backend: startBackend(b)}
	data := filepath.Join(dir, "data")
	for _, d := range []string{w.dir, data} {
		if err := os.Mkdir(d, 0o700); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.writeBase(layout); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if err := w.writeRoute(fmt.Sprintf("r%d", i), "/"); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	b.Cleanup(cancel)
	if err := w.start(ctx, rutter, data, envoy); err != nil {
		b.Fatal(err)
	}
	if err := settle(ctx, w.command.Process.Pid); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.stop(); err != nil {
			b.Errorf("stop rutter: %v", err)
		}
	})
	return w
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func startBackend(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), ReadHeaderTimeout: time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

// poller asks again and again on one connection.
type poller struct {
	base   string
	client *http.Client
}

func newPoller(port int) *poller {
	return &poller{base: fmt.Sprintf("http://127.0.0.1:%d", port), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 5 * time.Second}}
}

func (p *poller) get(host, path string) (int, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.base+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Host = host
	response, err := p.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

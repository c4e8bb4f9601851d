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
	"github.com/rutter-gateway/rutter/internal/gwtest"
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

// layouts are both, the scoped one first.
func layouts() []string { return []string{"scoped", "plain"} }

// BenchmarkSaveToServed measures from saving a file with a new route (own hostname,
// own Service) or a changed one until the first request is answered by it. All sizes
// run side by side and take turns, so that they share whatever else the machine does.
func BenchmarkSaveToServed(b *testing.B) {
	for _, layout := range layouts() {
		b.Run(layout, func(b *testing.B) { saveToServed(b, layout) })
	}
}

func saveToServed(b *testing.B, layout string) {
	type contender struct {
		*world
		poller         *poller
		added, changed []time.Duration
	}
	var all []*contender
	for _, n := range sizes(b) {
		w := newWorld(b, n, layout, envoyproc.Auto)
		all = append(all, &contender{world: w, poller: newPoller(w.port)})
	}
	for i := range samples {
		name := fmt.Sprintf("new%d", i)
		for _, c := range all {
			calm()
			c.added = append(c.added, c.save(b, c.poller, name, "/"))
			calm()
			c.changed = append(c.changed, c.save(b, c.poller, name, "/changed"))
		}
	}
	for _, c := range all {
		report(b, fmt.Sprintf("%d-added", c.routes), c.added)
		report(b, fmt.Sprintf("%d-changed", c.routes), c.changed)
		reportMemory(b, c.world, "VmRSS", "rutter-MiB")
		reportMemory(b, c.world, "VmHWM", "peak-MiB")
	}
	idle()
	for _, c := range all {
		reportMemory(b, c.world, "VmRSS", "idle-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// reportMemory reports what of rutter itself, Envoy apart, is resident or was at most.
func reportMemory(b *testing.B, w *world, field, unit string) {
	b.Helper()
	own, err := memoryOf(w.command.Process.Pid, field)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(own, fmt.Sprintf("%d-%s", w.routes, unit))
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
// route is on the wire of the xDS server; with all sizes side by side.
func BenchmarkSaveToXDS(b *testing.B) {
	for _, layout := range layouts() {
		b.Run(layout, func(b *testing.B) { saveToXDS(b, layout) })
	}
}

func saveToXDS(b *testing.B, layout string) {
	type contender struct {
		*follower
		added []time.Duration
	}
	var all []*contender
	for _, n := range sizes(b) {
		f := newFollower(b, newWorld(b, n, layout, "none"), layout)
		f.await(b, fmt.Sprintf("r%d", n-1))
		all = append(all, &contender{follower: f})
	}
	for i := range samples {
		name := fmt.Sprintf("new%d", i)
		for _, c := range all {
			calm()
			start := time.Now()
			if err := c.writeRoute(name, "/"); err != nil {
				b.Fatal(err)
			}
			c.added = append(c.added, c.await(b, name).Sub(start))
		}
	}
	for _, c := range all {
		report(b, fmt.Sprintf("%d-added", c.routes), c.added)
	}
	first, last := all[0], all[len(all)-1]
	b.ReportMetric(float64(median(last.added))/float64(median(first.added)), fmt.Sprintf("%d-to-%d-ratio", last.routes, first.routes))
	b.ReportMetric(0, "ns/op")
}

// follower is a world with a client of its xDS server instead of an Envoy.
type follower struct {
	*world
	layout   string
	arrivals chan arrival
	failed   chan error
}

func newFollower(b *testing.B, w *world, layout string) *follower {
	b.Helper()
	f := &follower{world: w, layout: layout, arrivals: make(chan arrival, 64), failed: make(chan error, 1)}
	ctx, cancel := context.WithCancel(b.Context())
	go func() { f.failed <- follow(ctx, w.socket, "default/gw", []string{f.chain()}, f.arrivals) }()
	b.Cleanup(func() {
		cancel()
		if err := <-f.failed; err != nil {
			b.Error(err)
		}
	})
	return f
}

func (f *follower) chain() string { return fmt.Sprintf("http-%d", f.port) }

// await is when what carries the route called name was sent: its scope, or in the
// plain layout the whole chain.
func (f *follower) await(b *testing.B, name string) time.Time {
	b.Helper()
	want := f.chain()
	if f.layout == "scoped" {
		want = fmt.Sprintf("%s/%s.example.com", f.chain(), name)
	}
	timeout := time.After(time.Minute)
	for {
		select {
		case a := <-f.arrivals:
			if a.name == want && (a.kind == scopeType || a.kind == routeType) {
				return a.at
			}
		case err := <-f.failed:
			b.Fatalf("the xDS stream ended: %v", err)
		case <-timeout:
			b.Fatalf("%s was not sent", want)
		}
	}
}

// median sorts d.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
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
	w := &world{routes: n, dir: filepath.Join(dir, "m"), port: gwtest.FreePort(b), backend: startBackend(b)}
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

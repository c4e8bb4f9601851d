package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

const (
	// logRounds is how often each Gateway has its turn, of logRequests requests.
	logRounds, logRequests = 41, 4_000
	// logClients ask at the same time, each on a connection of its own.
	logClients = 4
)

// BenchmarkAccessLog measures what a request costs Envoy with the access log that is
// usual (18 fields as JSON, to stdout), with one line of text, and with none. Each is a
// Gateway with an Envoy of its own; they take turns.
func BenchmarkAccessLog(b *testing.B) {
	type contender struct {
		name, log string
		port, pid int
		cpu       time.Duration // of Envoy, in all rounds: it is counted in steps of 10 ms
		rate      []float64     // requests per second
	}
	all := []*contender{{name: "json", log: "{}"}, {name: "text", log: "{format: {text: '%START_TIME% %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%'}}"}, {name: "none", log: "{sink: None}"}}
	w := newWorld(b, 1, "scoped", envoyproc.Auto)
	for _, c := range all {
		c.port = gwtest.FreePort(b)
		if err := w.writeLogged(c.name, c.log, c.port); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range all {
		gwtest.Eventually(b, c.name+" is served", func() error { return askOneByOne(b.Context(), c.port, 1) })
		var err error
		if c.pid, err = w.envoyOf("default_" + c.name); err != nil {
			b.Fatal(err)
		}
	}
	for round := range logRounds {
		for i := range all {
			c := all[(round+i)%len(all)]
			cpu, took := askMany(b, c.pid, c.port)
			if round > 0 { // the first opens connections
				c.cpu, c.rate = c.cpu+cpu, append(c.rate, logRequests/took.Seconds())
			}
		}
	}
	for _, c := range all {
		slices.Sort(c.rate)
		b.ReportMetric(float64(c.cpu.Microseconds())/((logRounds-1)*logRequests), c.name+"-cpu-us/request")
		b.ReportMetric(c.rate[len(c.rate)/2], c.name+"-requests/s")
	}
	b.ReportMetric(0, "ns/op")
}

// writeLogged writes a Gateway of a class of its own.
func (w *world) writeLogged(name, log string, port int) error {
	return w.write(name, fmt.Sprintf(`apiVersion: rutter.dev/v1alpha1
kind: RutterClass
metadata: {name: %[1]s}
spec: {accessLog: %[2]s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: %[1]s}
spec:
  controllerName: rutter.dev/gateway-controller
  parametersRef: {group: rutter.dev, kind: RutterClass, name: %[1]s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %[1]s}
spec:
  gatewayClassName: %[1]s
  listeners: [{name: http, port: %[3]d, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s}
spec:
  parentRefs: [{name: %[1]s}]
  rules: [{backendRefs: [{name: r0, port: 80}]}]
`, name, log, port))
}

// envoyOf is the Envoy of a Gateway, by what it was started with.
func (w *world) envoyOf(gateway string) (pid int, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		children, _ := os.ReadFile(task) // the thread may be gone
		for field := range strings.FieldsSeq(string(children)) {
			line, _ := os.ReadFile("/proc/" + field + "/cmdline")
			_, bootstrap, _ := strings.Cut(string(line), "--config-path\x00")
			bootstrap, _, _ = strings.Cut(bootstrap, "\x00")
			text, _ := os.ReadFile(bootstrap)
			if strings.Contains(string(text), `"standalone-`+gateway+`"`) {
				_, err = fmt.Sscan(field, &pid)
				return pid, err
			}
		}
	}
	return 0, fmt.Errorf("the Gateway %s has no Envoy", gateway)
}

// askMany is what logRequests requests took, of the processor time of Envoy and of time.
func askMany(b *testing.B, pid, port int) (cpu, took time.Duration) {
	b.Helper()
	before, err := processorTime(pid)
	if err != nil {
		b.Fatal(err)
	}
	started, failed := time.Now(), make(chan error, logClients)
	for range logClients {
		go func() { failed <- askOneByOne(b.Context(), port, logRequests/logClients) }()
	}
	for range logClients {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	took = time.Since(started)
	after, err := processorTime(pid)
	if err != nil {
		b.Fatal(err)
	}
	return after - before, took
}

func askOneByOne(ctx context.Context, port, requests int) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/a/path/of/usual/length?q=1", port), http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
	for range requests {
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("a request got %d: %w", response.StatusCode, err)
		}
	}
	return nil
}

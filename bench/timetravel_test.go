package bench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkTimeTravel asks the log of a month, with a million events, what it was like,
// what changed and what would come. The log is kept in RUTTER_BENCH_LOG, if that is set;
// RUTTER_BENCH_EVENTS is how many events it has.
func BenchmarkTimeTravel(b *testing.B) {
	rutter, err := filepath.Abs("../bin/rutter")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(rutter); err != nil {
		b.Skip("../bin/rutter is not there: run make build first")
	}
	total, err := strconv.Atoi(cmp.Or(os.Getenv("RUTTER_BENCH_EVENTS"), "1000000"))
	if err != nil {
		b.Fatal(err)
	}
	dir := os.Getenv("RUTTER_BENCH_LOG")
	if dir == "" {
		dir = b.TempDir()
	}
	p, err := openPast(b.Context(), dir, 5000, total, b.Logf)
	if err != nil {
		b.Fatal(err)
	}
	defer p.log.Close()
	t := &traveller{b: b, rutter: rutter, url: p.url}
	var last struct{ Version string }
	t.run("show-now", &last, "show", "default/gw", "--host", "r0.example.com")
	newest, err := strconv.Atoi(last.Version[bytes.LastIndexByte([]byte(last.Version), '/')+1:])
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for i := range 12 { // spread over the log, at no special place
		took = append(took, t.run("", nil, "show", "default/gw", "--at", fmt.Sprint(12_000+(newest-12_000)*(2*i+1)/24)))
	}
	b.ReportMetric(slices.Max(took).Seconds(), "show-max-s")
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "show-p50-s")

	var found struct{ Change struct{ Sequence uint64 } }
	t.run("bisect", &found, "bisect", "GET", "http://r0.example.com/", "--good", "12000")
	if found.Change.Sequence != p.turned {
		b.Errorf("bisect found %d, and it was %d", found.Change.Sequence, p.turned)
	}
	manifest := filepath.Join(b.TempDir(), "route.yaml")
	if err := os.WriteFile(manifest, []byte(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r0},
  spec: {parentRefs: [{name: gw}], hostnames: [r0.example.com], rules: [{backendRefs: [{name: r2, port: 80}]}]}}`), 0o600); err != nil {
		b.Fatal(err)
	}
	t.run("plan", nil, "plan", "-f", manifest)
	t.run("trace", nil, "trace", "httproute/default/r0")
	t.run("blame", nil, "blame", "httproute/default/r0")
	t.verify()
	t.export()
}

type traveller struct {
	b           *testing.B
	rutter, url string
}

// run runs a command, and reads what it prints.
func (t *traveller) run(name string, into any, args ...string) time.Duration {
	t.b.Helper()
	took, out := t.execute(name, append(args, "-o", "json")...)
	if into != nil {
		if err := json.Unmarshal(out, into); err != nil {
			t.b.Fatal(err)
		}
	}
	return took
}

// execute runs a command and reports, if it has a name, how long it took and how much
// memory at most.
func (t *traveller) execute(name string, args ...string) (took time.Duration, out []byte) {
	t.b.Helper()
	command := exec.CommandContext(t.b.Context(), t.rutter, append(args, "--nats-url", t.url)...)
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, os.Stderr
	began := time.Now()
	if err := command.Start(); err != nil {
		t.b.Fatal(err)
	}
	ended := make(chan struct{})
	peak := make(chan float64, 1)
	go func() { peak <- peakOf(command.Process.Pid, ended) }()
	err := command.Wait()
	took = time.Since(began)
	close(ended)
	resident := <-peak
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.b.Fatalf("rutter %v: %v", args, err)
	}
	if name != "" {
		state := command.ProcessState
		t.b.ReportMetric(took.Seconds(), name+"-s")
		t.b.ReportMetric((state.UserTime() + state.SystemTime()).Seconds(), name+"-cpu-s")
		if resident > 0 {
			t.b.ReportMetric(resident, name+"-MiB")
		}
	}
	return took, printed.Bytes()
}

// peakOf is the most memory, in MiB, that a process had resident, until shortly before it
// ended. What the system says of one that has ended counts what its parent had too.
func peakOf(pid int, ended <-chan struct{}) (peak float64) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return peak
		case <-ticker.C:
		}
		if now, err := memoryOf(pid, "VmHWM"); err == nil {
			peak = max(peak, now)
		}
	}
}

// verify folds everything again, on one core.
func (t *traveller) verify() {
	t.b.Helper()
	t.b.Setenv("GOMAXPROCS", "1")
	var report struct {
		Events   float64
		Findings []any
	}
	took := t.run("verify", &report, "verify")
	if len(report.Findings) > 0 {
		t.b.Errorf("found %v", report.Findings)
	}
	t.b.ReportMetric(report.Events/took.Seconds(), "verify-events/s")
}

// export writes the whole log to a file.
func (t *traveller) export() {
	t.b.Helper()
	file := filepath.Join(t.b.TempDir(), "all.rutter")
	t.execute("export", "export", "-f", file)
	info, err := os.Stat(file)
	if err != nil {
		t.b.Fatal(err)
	}
	t.b.ReportMetric(float64(info.Size())/(1<<20), "export-file-MiB")
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// TestMain lets the test binary be rutter itself, so that a test can run it as a
// process of its own, with the race detector, and kill it.
func TestMain(m *testing.M) {
	if os.Getenv("RUTTER_TEST_AS_RUTTER") != "" {
		main()
		return
	}
	if os.Getenv("RUTTER_TEST_AS_JUDGE") != "" {
		judge()
	}
	os.Exit(m.Run())
}

// rig is a directory of manifests and a data directory, and the rutter that
// serves one from the other with a real Envoy.
type rig struct {
	t         *testing.T
	dir, data string
	port      int
	process   *exec.Cmd
	lines     *lines
	// within is a program, with arguments, that becomes rutter.
	within []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	// Sockets have short paths; t.TempDir is too long for them.
	root, err := os.MkdirTemp("", "rutter-e2e-") //nolint:usetesting // see above
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	r := &rig{t: t, dir: filepath.Join(root, "m"), data: filepath.Join(root, "d"), port: gwtest.FreePort(t)}
	must(t, os.Mkdir(r.dir, 0o700))
	t.Cleanup(func() {
		if r.process != nil {
			r.stop()
		}
	})
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const class = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: rutter}
spec: {controllerName: rutter.dev/gateway-controller}
---
`

// gateway is a manifest of the class and an HTTP Gateway on the rig's port.
func (r *rig) gateway() string {
	return class + gatewayManifest("gw", r.port)
}

func gatewayManifest(name string, port int) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s}
spec:
  gatewayClassName: rutter
  listeners: [{name: http, port: %d, protocol: HTTP}]
`, name, port)
}

// routeManifest is a manifest of a route, its Service and the endpoint behind it.
func routeManifest(name, path string, backend int) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s}
spec:
  parentRefs: [{name: gw}]
  hostnames: [%[1]s.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: %[2]s}}]
    backendRefs: [{name: %[1]s, port: 80}]
---
`, name, path) + serviceManifest(name, backend)
}

func serviceManifest(name string, backend int) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{name: http, port: %[2]d}]
endpoints: [{addresses: [127.0.0.1]}]
`, name, backend)
}

// save replaces a manifest as an editor does.
func (r *rig) save(name, text string) {
	r.t.Helper()
	temporary := filepath.Join(r.dir, "."+name+".new")
	must(r.t, os.WriteFile(temporary, []byte(text), 0o600))
	must(r.t, os.Rename(temporary, filepath.Join(r.dir, name+".yaml")))
}

func (r *rig) remove(name string) {
	r.t.Helper()
	must(r.t, os.Remove(filepath.Join(r.dir, name+".yaml")))
}

// launch starts rutter and does not wait for it.
func (r *rig) launch(args ...string) {
	r.t.Helper()
	r.execute(append([]string{"standalone", r.dir, "--data-dir", r.data, "--ready-file", r.ready()}, args...)...)
}

// execute starts rutter with any arguments.
func (r *rig) execute(args ...string) {
	r.t.Helper()
	self, err := os.Executable()
	must(r.t, err)
	root, err := filepath.Abs("../../bin")
	must(r.t, err)
	command := slices.Concat(r.within, []string{self}, args)
	r.process = exec.Command(command[0], command[1:]...)
	r.process.Env = append(os.Environ(), "RUTTER_TEST_AS_RUTTER=1", "PATH="+root+string(os.PathListSeparator)+os.Getenv("PATH"))
	// A rig that is killed itself must leave nothing behind.
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_ = os.Remove(r.ready())
	stdout, err := r.process.StdoutPipe()
	must(r.t, err)
	r.process.Stderr = r.process.Stdout
	r.lines = &lines{}
	must(r.t, r.process.Start())
	r.lines.follow(stdout)
}

func (r *rig) ready() string { return r.data + ".ready" }

// start starts rutter and waits until Envoy serves the first version.
func (r *rig) start(args ...string) {
	r.t.Helper()
	r.launch(args...)
	r.eventually("rutter is ready", func() error { _, err := os.Stat(r.ready()); return err })
}

// stop ends rutter as Ctrl-C does.
func (r *rig) stop() {
	r.t.Helper()
	r.end(syscall.SIGINT)
}

// kill is kill -9.
func (r *rig) kill() {
	r.t.Helper()
	r.end(syscall.SIGKILL)
}

func (r *rig) end(signal syscall.Signal) {
	r.t.Helper()
	envoys := r.envoys()
	_ = r.process.Process.Signal(signal) // it may have ended already
	r.lines.ended.Wait()
	err := r.process.Wait()
	if signal == syscall.SIGINT && err != nil {
		r.t.Errorf("rutter ended with %v:\n%s", err, r.lines)
	}
	r.process = nil
	for _, pid := range envoys {
		r.eventually("no Envoy is left", func() error {
			if alive(pid) {
				return fmt.Errorf("Envoy %d still runs", pid)
			}
			return nil
		})
	}
}

// envoys are the pids of rutter's children.
func (r *rig) envoys() []int {
	var pids []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.process.Process.Pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // the thread may be gone
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(text, []byte(") Z "))
}

// eventually waits until check returns nil.
func (r *rig) eventually(what string, check func() error) {
	r.t.Helper()
	gwtest.Eventually(r.t, what, func() error {
		if err := check(); err != nil {
			return fmt.Errorf("%w; rutter said:\n%s", err, r.lines)
		}
		return nil
	})
}

// says waits until rutter has printed a line with text.
func (r *rig) says(text string) {
	r.t.Helper()
	r.eventually("rutter says "+text, func() error {
		if !strings.Contains(r.lines.String(), text) {
			return errors.New("it does not")
		}
		return nil
	})
}

// get is the status and the body of a request through Envoy.
func (r *rig) get(host, path string) (int, string, error) {
	return get(r.t.Context(), http.DefaultTransport, fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path), host)
}

func get(ctx context.Context, transport http.RoundTripper, url, host string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// serves waits until a request gets status.
func (r *rig) serves(host, path string, status int) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%s%s gets %d", host, path, status), func() error {
		got, _, err := r.get(host, path)
		if err == nil && got != status {
			err = fmt.Errorf("it gets %d", got)
		}
		return err
	})
}

// command runs another command of rutter on the data directory.
func (r *rig) command(args ...string) (code int, output string) {
	r.t.Helper()
	var out bytes.Buffer
	code = run(r.t.Context(), environment{out: &out, err: &out, now: time.Now, open: openLog}, append(args, "--data-dir", r.data))
	return code, out.String()
}

// verified holds that the log folds to what was published.
func (r *rig) verified() {
	r.t.Helper()
	if code, out := r.command("verify"); code != exitFine {
		r.t.Errorf("verify exits with %d:\n%s", code, out)
	}
}

// backend answers with its name.
func (r *rig) backend(name string) int {
	r.t.Helper()
	return gwtest.StartBackend(r.t, name).Port
}

// lines is what a process printed so far.
type lines struct {
	mu    sync.Mutex
	text  strings.Builder
	ended sync.WaitGroup
}

func (l *lines) follow(from io.Reader) {
	l.ended.Go(func() {
		scanner := bufio.NewScanner(from)
		for scanner.Scan() {
			l.mu.Lock()
			l.text.WriteString(scanner.Text() + "\n")
			l.mu.Unlock()
		}
	})
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

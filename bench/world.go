package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// world is a directory of manifests with n routes, and a rutter that serves it.
type world struct {
	routes  int
	dir     string // manifests
	port    int    // of the Gateway
	backend int    // port of the one backend behind all Services
	command *exec.Cmd
	socket  string // of the xDS server, where no Envoy is started
	drained chan struct{}
}

// padding makes each object as large as real ones are: at least 1.5 KB.
var padding = strings.Repeat("x", 1200)

// writeBase writes the class and the Gateway.
func (w *world) writeBase(layout string) error {
	return w.write("gateway", fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: rutter, annotations: {rutter.dev/route-layout: %s}}
spec: {controllerName: rutter.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners: [{name: http, port: %d, protocol: HTTP}]
`, layout, w.port))
}

// writeRoute writes a route with its own hostname (name.example.com) and Service.
func (w *world) writeRoute(name, path string) error {
	return w.write(name, fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s, annotations: {note: %[4]s}}
spec:
  parentRefs: [{name: gw}]
  hostnames: [%[1]s.example.com]
  rules:
  - matches: [{path: {type: PathPrefix, value: %[2]s}}]
    backendRefs: [{name: %[1]s, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, annotations: {note: %[4]s}}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-1, labels: {kubernetes.io/service-name: %[1]s}, annotations: {note: %[4]s}}
addressType: IPv4
ports: [{name: http, port: %[3]d}]
endpoints: [{addresses: [127.0.0.1]}]
`, name, path, w.backend, padding))
}

// write replaces a file as editors do: under another name first.
func (w *world) write(name, text string) error {
	temporary := filepath.Join(w.dir, "."+name+".new")
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(w.dir, name+".yaml"))
}

// start runs rutter standalone and waits until it serves; envoy is "auto" or "none".
func (w *world) start(ctx context.Context, rutter, data, envoy string) error {
	ready := filepath.Join(data, "ready")
	w.command = exec.CommandContext(ctx, rutter, "standalone", w.dir, "--data-dir", filepath.Join(data, "d"), "--envoy", envoy, "--ready-file", ready)
	w.command.Cancel = func() error { return w.command.Process.Signal(syscall.SIGTERM) }
	w.command.WaitDelay = 20 * time.Second
	w.command.Stderr = os.Stderr
	stdout, err := w.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.command.Start(); err != nil {
		return err
	}
	socket := make(chan string, 1)
	w.drained = make(chan struct{})
	go w.drain(stdout, socket)
	if envoy == "none" {
		select {
		case w.socket = <-socket:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		if _, err := os.Stat(ready); err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("rutter did not become ready")
		case <-w.drained:
			return errors.New("rutter ended")
		}
	}
}

// drain reads what rutter prints, and finds the socket in it.
func (w *world) drain(stdout io.Reader, socket chan<- string) {
	defer close(w.drained)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "xDS is served on the socket "); ok {
			path, _, _ := strings.Cut(rest, ";")
			socket <- path
		}
	}
}

// stop ends rutter.
func (w *world) stop() error {
	if err := w.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-w.drained
	return w.command.Wait()
}

// memoryOf is the memory of a process in MiB: VmRSS for what is resident, VmHWM for
// the most that ever was.
func memoryOf(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			var kib float64
			_, err := fmt.Sscan(rest, &kib)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s of process %d", field, pid)
}

// calm lets what the sample before set off (statuses, receipts) come to an end: one
// change at a time is measured.
func calm() { time.Sleep(20 * time.Millisecond) }

// idle lets a process notice that nothing happens any more. In between it takes a
// checkpoint, a minute after its start.
func idle() { time.Sleep(45 * time.Second) }

// between is the pause between two requests of the poller: without one, poller and
// Envoy take both cores, and what is measured is the scheduler.
func between() { time.Sleep(500 * time.Microsecond) }

// settle waits until a process has had nothing to do for half a second: after a
// start it still writes the status of every object.
func settle(ctx context.Context, pid int) error {
	for last := time.Duration(-1); ; {
		used, err := processorTime(pid)
		if err != nil {
			return err
		}
		if last >= 0 && used-last <= 30*time.Millisecond {
			return nil
		}
		last = used
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// processorTime is what a process has used so far, to 10 ms.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64 // in ticks of 10 ms
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rutter-gateway/rutter/conformance/internal/patience"
)

const programs = "../../../bin"

// What a person does who runs `make cluster` and follows what it prints, outside of the
// namespaces of the cluster.
func TestAPersonReachesTheClusterFromOutside(t *testing.T) {
	dir := t.TempDir()
	command := exec.Command(filepath.Join(programs, "k8s", "cluster"), "-dir", dir, "-bin", programs)
	printed, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	lines := bufio.NewReader(printed)
	p := person{T: t, kubeconfig: after(t, lines, "export KUBECONFIG=")}

	patience.Await(t, "a pod", func() error { // it needs a service account
		return p.kubectl("run", "echo", "--image=echo-basic", "--env=POD_NAME=echo", "--env=NAMESPACE=default").Run()
	})
	if output, err := p.kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=60s").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	patience.Await(t, "its log", func() error {
		output, err := p.kubectl("logs", "echo").CombinedOutput()
		if err != nil || !strings.Contains(string(output), "listening on port 3000") {
			return fmt.Errorf("%w: %s", errors.Join(err, errors.New("it lacks the first line")), output)
		}
		return nil
	})
	p.forwards("pod/echo", 3000, `"pod": "echo"`)

	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Error(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(p.kubeconfig); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the kubeconfig of a cluster that has ended: %v", err)
	}
}

// after reads lines up to one with a text, and returns the rest of it.
func after(t *testing.T, lines *bufio.Reader, text string) string {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended without a line with %s: %v", text, err)
		}
		if _, rest, found := strings.Cut(line, text); found {
			return strings.TrimSpace(rest)
		}
	}
}

type person struct {
	*testing.T
	kubeconfig string
}

func (p *person) kubectl(arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(programs, "k8s", "kubectl"), arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig)
	return command
}

// forwards has a port of a pod forwarded to this machine, and expects a text there.
func (p *person) forwards(pod string, port int, want string) {
	p.Helper()
	forward := p.kubectl("port-forward", pod, fmt.Sprint(":", port), "--address", "127.0.0.1")
	printed, err := forward.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		p.Fatal(err)
	}
	defer func() { _ = forward.Process.Kill(); _ = forward.Wait() }()
	address, _, _ := strings.Cut(after(p.T, bufio.NewReader(printed), "Forwarding from "), " ")
	response, err := http.Get("http://" + address + "/")
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), want) {
		p.Errorf("%s answers %s, %v", address, body, err)
	}
}

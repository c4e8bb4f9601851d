package cluster_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pod := r.run(r.pod("talker", nil))
	r.awaitServing(pod)
	r.ask(pod, "/say", "text", "one")
	r.eventually("the line", func() error {
		if logs := r.logs("talker", &corev1.PodLogOptions{}); logs != "serving\none\n" {
			return fmt.Errorf("logs are %q", logs)
		}
		return nil
	})
	since := metav1.NewTime(nextSecond(t))
	r.ask(pod, "/say", "text", "two")
	r.eventually("lines since a time", func() error {
		if logs := r.logs("talker", &corev1.PodLogOptions{SinceTime: &since}); logs != "two\n" {
			return fmt.Errorf("logs are %q", logs)
		}
		return nil
	})
	last := int64(1)
	r.equal("the last line", r.logs("talker", &corev1.PodLogOptions{TailLines: &last}), "two\n")

	stream, err := r.CoreV1().Pods(r.namespace).GetLogs("talker", &corev1.PodLogOptions{Follow: true, TailLines: &last}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for _, want := range []string{"two\n", "three\n"} {
		if want == "three\n" {
			r.ask(pod, "/say", "text", "three")
		}
		line := make([]byte, len(want))
		if n, err := stream.Read(line); err != nil || string(line[:n]) != want {
			t.Errorf("followed %q, %v, want %q", line[:n], err, want)
		}
	}
}

// nextSecond waits until a new second begins, since times in requests are whole ones.
func nextSecond(t *testing.T) time.Time {
	t.Helper()
	next := time.Now().Truncate(time.Second).Add(time.Second)
	<-time.After(time.Until(next))
	return next
}

func (r *rig) tryLogs(pod string, options *corev1.PodLogOptions) (string, error) {
	raw, err := r.CoreV1().Pods(r.namespace).GetLogs(pod, options).DoRaw(r.Context())
	return string(raw), err
}

func (r *rig) logs(pod string, options *corev1.PodLogOptions) string {
	r.Helper()
	logs, err := r.tryLogs(pod, options)
	if err != nil {
		r.Fatal(err)
	}
	return logs
}

// What a person does with kubectl, by the same ways through the API server.
func TestKubectlReachesIntoPods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pod := r.run(r.pod("reached", readyWhenServing))
	r.ask(pod, "/write", "path", "/tmp/there", "content", "x")
	if _, err := r.kubectl("exec", "reached", "--", "tester", "touch", "/tmp/touched"); err != nil {
		t.Fatal(err)
	}
	r.equal("what exec left", r.ask(pod, "/file", "path", "/tmp/touched"), "touched")
	if output, err := r.kubectl("exec", "reached", "--", "tester", "exit", "4"); err == nil || !strings.Contains(output, "exit code 4") || !strings.Contains(output, "ending with 4") {
		t.Errorf("exec that fails: %v: %s", err, output)
	}

	forward := r.startKubectl("port-forward", "pod/reached", ":8080", "--address", "127.0.0.1")
	line, err := bufio.NewReader(forward).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Fields(strings.TrimPrefix(line, "Forwarding from "))[0]
	for range 3 {
		if got, err := fetch(address, "/hostname", nil); err != nil || got != "reached" {
			t.Errorf("port-forward: %q, %v", got, err)
		}
	}
}

func (r *rig) kubectl(arguments ...string) (string, error) {
	command := r.kubectlCommand(arguments)
	output, err := command.CombinedOutput()
	return string(output), err
}

// startKubectl starts a command that ends with the test, and returns what it prints.
func (r *rig) startKubectl(arguments ...string) io.Reader {
	r.Helper()
	command := r.kubectlCommand(arguments)
	output, err := command.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	if err := command.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed, and says so
	})
	return output
}

func (r *rig) kubectlCommand(arguments []string) *exec.Cmd {
	return exec.Command("../../bin/k8s/kubectl", append([]string{"--kubeconfig", shared.Kubeconfig, "--namespace", r.namespace}, arguments...)...)
}

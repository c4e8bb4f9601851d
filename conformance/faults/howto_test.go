package faults

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// docs/howto/replay-an-incident.md, from the cluster to a laptop: the log is taken along by
// the commands as they are written there, and what happened here is asked of the file, and
// served from it, without the cluster.
func TestAnIncidentIsReplayedAsTheHowtoSays(t *testing.T) {
	r := newRig(t)
	// All Gateways have port 80 here, which on one machine only one of them can have.
	r.eventually("those of other tests are gone", func() error {
		if shown, _ := r.rutter("show"); strings.Count(shown, "\ngateway/") > 1 {
			return fmt.Errorf("there are\n%s", shown)
		}
		return nil
	})
	before := r.version()
	r.apply(routeOf("first", "nobody"))
	r.awaitAnswer("first", http.StatusInternalServerError)

	text, err := os.ReadFile("../../docs/howto/replay-an-incident.md")
	r.must(err)
	script := regexp.MustCompile("(?sm)^```sh\n(.*?)^```$").FindStringSubmatch(string(text))
	if script == nil {
		t.Fatal("the howto has no commands for a shell")
	}
	r.laptop = t.TempDir()
	path := "PATH=" + r.programs.Bin + ":" + filepath.Join(r.programs.Bin, "k8s") + ":" + os.Getenv("PATH")
	shell := exec.CommandContext(t.Context(), "bash", "-e", "-c", script[1]+"\nkill %1")
	shell.Dir, shell.Env = r.laptop, append(os.Environ(), path, "KUBECONFIG="+r.programs.Kubeconfig)
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v: %s", script[1], err, out)
	}

	route := "httproute/" + r.namespace + "/first"
	for _, c := range []struct{ asked, want string }{
		{"log " + route + " --since " + before, "ResolvedRefs=False"},
		{"diff " + r.namespace + "/gw --from " + before, "+ to unresolved (500)"},
		{"explain GET http://first.example.com/ --gateway " + r.namespace + "/gw", "500: the backend cannot be resolved"},
		{"bisect GET http://first.example.com/ --gateway " + r.namespace + "/gw --good " + before, "(kubectl)\nin version "},
		{"blame " + route, "spec.rules[0].backendRefs[nobody].name"},
		{"verify", "as published"},
	} {
		if got := r.onLaptop(c.asked); !strings.Contains(got, c.want) {
			t.Errorf("rutter %s says\n%s\nwant %q", c.asked, got, c.want)
		}
	}
	if served := r.servedFrom(before); !strings.Contains(served, `"backend":"`+r.namespace+`/echo/`) {
		t.Errorf("the version before is answered with %s", served)
	}
}

// onLaptop asks the file that was taken along.
func (r *rig) onLaptop(asked string) string {
	r.Helper()
	command := exec.CommandContext(r.Context(), filepath.Join(r.programs.Bin, "rutter"), append(strings.Fields(asked), "--bundle", "incident.rutter")...)
	command.Dir = r.laptop
	out, err := command.CombinedOutput()
	if err != nil && command.ProcessState.ExitCode() != 1 {
		r.Fatalf("rutter %s: %v: %s", asked, err, out)
	}
	return string(out)
}

// servedFrom is what the host "first" answers at a version that is served again.
func (r *rig) servedFrom(version string) string {
	r.Helper()
	var printed bytes.Buffer
	command := exec.CommandContext(r.Context(), filepath.Join(r.programs.Bin, "rutter"), "standalone", "--at", version,
		"--bundle", "incident.rutter", "--port-offset", "10000", "--ready-file", "ready")
	command.Dir, command.Stdout, command.Stderr = r.laptop, &printed, &printed
	r.must(command.Start())
	defer func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		r.Logf("rutter standalone --at %s printed\n%s", version, printed.String())
	}()
	var answered string
	r.eventually("the version before is served", func() error {
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://127.0.0.1:10080/", nil)
		if err != nil {
			return err
		}
		request.Host = "first.example.com"
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		answered = string(body)
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("it is %s", answer.Status)
		}
		return err
	})
	return answered
}

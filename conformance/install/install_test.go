package install_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/install"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m.Run)) }

// house is a cluster with Rutter in it, as the chart installs it.
type house struct {
	*testing.T
	tools *install.Programs
	nats  string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	started, err := cluster.Start(t.Context(), cluster.Config{
		Dir: t.TempDir(), Bin: bin, Images: cluster.DefaultImages(bin), Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	h := &house{T: t, tools: &install.Programs{Bin: bin, Kubeconfig: started.Kubeconfig}}
	if err := h.tools.CRDs(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if err := h.tools.Chart(t.Context(), "../../deploy/helm/rutter"); err != nil {
		t.Fatal(err)
	}
	token, err := base64.StdEncoding.DecodeString(h.kubectl("-n", install.Namespace, "get", "secret", "rutter-nats", "-o", "jsonpath={.data.token}"))
	if err != nil {
		t.Fatal(err)
	}
	h.nats = fmt.Sprintf("nats://%s@%s:4222", token, h.kubectl("-n", install.Namespace, "get", "service", install.Release+"-nats", "-o", "jsonpath={.spec.clusterIP}"))
	return h
}

func (h *house) kubectl(arguments ...string) string {
	h.Helper()
	printed, err := h.tools.Kubectl(h.Context(), arguments...)
	if err != nil {
		h.Fatal(err)
	}
	return printed
}

// log is what `rutter log` tells.
func (h *house) log(arguments ...string) string {
	h.Helper()
	printed, err := exec.CommandContext(h.Context(), filepath.Join(h.tools.Bin, "rutter"), append([]string{"log", "--nats-url", h.nats}, arguments...)...).CombinedOutput()
	if err != nil {
		h.Fatalf("rutter log: %v: %s", err, printed)
	}
	return string(printed)
}

// eventually does something until it is so.
func (h *house) eventually(what string, so func() bool) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.Fatalf("%s: waited in vain; the log tells\n%s", what, h.log())
		}
	}
}

const route = `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"r"},"spec":{"hostnames":["a.example"]}}`

// The API server reaches ingest by its Service, with the certificate that the
// provisioner has issued and the CA that it has named.
func TestWhoAsksForAChangeIsSeen(t *testing.T) {
	h := newHouse(t)
	for _, user := range []string{"alice", "bob"} {
		h.kubectl("create", "clusterrolebinding", user, "--clusterrole=cluster-admin", "--user="+user)
	}
	manifest := filepath.Join(t.TempDir(), "route.json")
	if err := os.WriteFile(manifest, []byte(route), 0o600); err != nil {
		t.Fatal(err)
	}
	h.kubectl("--as=alice", "apply", "--server-side", "-f", manifest)
	try := 0
	h.eventually("somebody is seen", func() bool { // once the certificate is there, and the API server knows
		try++
		h.kubectl("--as=bob", "annotate", "--overwrite", "httproute/r", fmt.Sprintf("try=%d", try))
		return strings.Contains(h.log("httproute/r"), " bob (kubectl-annotate)")
	})
	h.kubectl("--as=alice", "delete", "httproute/r")
	h.eventually("who deleted it is seen", func() bool {
		lines := strings.Split(strings.TrimSpace(h.log("httproute/r")), "\n")
		return strings.Contains(lines[len(lines)-1], "deleted  httproute/default/r  alice")
	})

	// What is gone with ingest is who asks, and nothing else.
	h.kubectl("-n", install.Namespace, "scale", "deployment/"+install.Release+"-ingest", "--replicas=0")
	h.kubectl("-n", install.Namespace, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=ingest", "--timeout=60s")
	h.kubectl("--as=alice", "apply", "--server-side", "-f", manifest)
	h.kubectl("-n", install.Namespace, "scale", "deployment/"+install.Release+"-ingest", "--replicas=1")
	h.eventually("that nobody was seen is said", func() bool {
		lines := strings.Split(strings.TrimSpace(h.log("httproute/r")), "\n")
		return strings.Contains(lines[len(lines)-1], "created  httproute/default/r  nobody seen (kubectl)")
	})
}

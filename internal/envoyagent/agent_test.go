package envoyagent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// startEnvoy runs an Envoy that answers every request, and returns its admin socket
// and where it listens.
func startEnvoy(t *testing.T) (socket, address string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "admin.sock")
	bootstrap := fmt.Sprintf(`
node: {id: node, cluster: c}
admin: {address: {pipe: {path: %s}}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: %s}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: l
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config: {virtual_hosts: [{name: h, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
`, socket, port)
	if err := os.WriteFile(filepath.Join(dir, "envoy.yaml"), []byte(bootstrap), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(gwtest.Envoy(t), "-c", filepath.Join(dir, "envoy.yaml"), "--disable-hot-restart", "--concurrency", "1", "-l", "error", "--drain-strategy", "immediate")
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return socket, address
}

// startAgent runs an agent until stop is called.
func startAgent(t *testing.T, socket string, least, most time.Duration) (url string, stop func(), done chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done = make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{Listener: listener, AdminSocket: socket, Least: least, Most: most, Logger: slog.New(slog.DiscardHandler)})
	}()
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop, done
}

// answer is what came back; code 0 is none.
type answer struct {
	code  int
	text  string
	close bool // the client is asked to leave
}

func ask(client *http.Client, url string) answer {
	response, err := client.Get(url)
	if err != nil {
		return answer{text: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{text: err.Error()}
	}
	return answer{response.StatusCode, string(body), response.Close}
}

func await(t *testing.T, url string, code int, text string) {
	t.Helper()
	gwtest.Eventually(t, url, func() error {
		if got := ask(http.DefaultClient, url); got.code != code || !strings.Contains(got.text, text) {
			return fmt.Errorf("it is answered with %d %q, want %d %q", got.code, got.text, code, text)
		}
		return nil
	})
}

func TestEnvoyIsDrainedBeforeItEnds(t *testing.T) {
	socket, address := startEnvoy(t)
	url, stop, done := startAgent(t, socket, 0, time.Minute)
	await(t, url+"/readyz", 200, "ok")
	await(t, url+"/metrics", 200, "envoy_server_live")
	client := &http.Client{Transport: &http.Transport{}} // one idle connection, as a browser keeps
	if got := ask(client, "http://"+address); got.code != 200 || got.close {
		t.Fatal(got)
	}
	over := make(chan int, 1)
	go func() { over <- ask(http.DefaultClient, url+"/drained").code }()
	stop()
	await(t, url+"/readyz", 503, "draining")
	select {
	case <-over:
		t.Fatal("it is over while a client is connected")
	default:
	}
	// The client is served all the time, and asked to leave when Envoy has heard.
	for {
		got := ask(client, "http://"+address)
		if got.code != 200 {
			t.Fatalf("while draining: %+v", got)
		}
		if got.close {
			break
		}
	}
	if code := <-over; code != 200 {
		t.Errorf("/drained is answered with %d", code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAClientThatStaysIsWaitedForNoLongerThanTheLimit(t *testing.T) {
	socket, address := startEnvoy(t)
	url, stop, done := startAgent(t, socket, 0, time.Second)
	await(t, url+"/readyz", 200, "ok")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	await(t, url+"/metrics", 200, "envoy_server_live")
	started := time.Now()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took < time.Second {
		t.Errorf("it was over after %s", took)
	}
}

func TestDrainingTakesItsTimeAlsoWithoutClients(t *testing.T) {
	socket, _ := startEnvoy(t)
	const least = time.Second
	url, stop, done := startAgent(t, socket, least, time.Minute)
	await(t, url+"/readyz", 200, "ok")
	started := time.Now()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took < least {
		t.Errorf("it was over after %s, and load balancers still send clients", took)
	}
}

func TestItIsNotReadyWithoutAnEnvoyAndEndsAtOnce(t *testing.T) {
	url, stop, done := startAgent(t, filepath.Join(t.TempDir(), "none"), time.Minute, time.Hour)
	await(t, url+"/readyz", 503, "ask Envoy")
	await(t, url+"/healthz", 200, "ok")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

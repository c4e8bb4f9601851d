package xdsserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// realEnvoy is a running Envoy.
type realEnvoy struct {
	t     *testing.T
	admin string // host:port
	log   string // path
}

// startEnvoy starts an Envoy of the Gateway that asks the server at xds (host:port).
func startEnvoy(t *testing.T, xds string) *realEnvoy {
	t.Helper()
	dir := t.TempDir()
	host, port, _ := strings.Cut(xds, ":")
	bootstrap := fmt.Sprintf(`
node: {id: envoy-0, cluster: %s}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
  lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: xds
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]
`, testGateway, host, port)
	if err := os.WriteFile(filepath.Join(dir, "envoy.yaml"), []byte(bootstrap), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &realEnvoy{t: t, log: filepath.Join(dir, "log")}
	command := exec.Command(gwtest.Envoy(t), "-c", filepath.Join(dir, "envoy.yaml"), "--use-dynamic-base-id", "--concurrency", "1",
		"--admin-address-path", filepath.Join(dir, "admin"), "--log-path", e.log, "-l", "info", "--component-log-level", "config:debug")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if log, err := os.ReadFile(e.log); err == nil && t.Failed() {
			t.Logf("the end of Envoy's log:\n%s", log[max(0, len(log)-6000):])
		}
	})
	gwtest.Eventually(t, "Envoy writes its admin address", func() error {
		address, err := os.ReadFile(filepath.Join(dir, "admin"))
		if err == nil && len(address) == 0 {
			err = io.ErrUnexpectedEOF
		}
		e.admin = string(address)
		return err
	})
	return e
}

// get asks the admin interface.
func (e *realEnvoy) get(path string) (string, error) {
	response, err := http.Get("http://" + e.admin + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// address is where a listener of Envoy's accepts.
func (e *realEnvoy) address(listener string) string {
	e.t.Helper()
	var found string
	gwtest.Eventually(e.t, "Envoy listens for "+listener, func() error {
		body, err := e.get("/listeners?format=json")
		if err != nil {
			return err
		}
		var all struct {
			Statuses []struct {
				Name    string `json:"name"`
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"local_address"`
			} `json:"listener_statuses"`
		}
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			return err
		}
		for _, l := range all.Statuses {
			if l.Name == listener {
				found = fmt.Sprintf("%s:%d", l.Address.Socket.Address, l.Address.Socket.Port)
				return nil
			}
		}
		return fmt.Errorf("no listener %s in %s", listener, body)
	})
	return found
}

// counter is one of Envoy's statistics.
func (e *realEnvoy) counter(name string) string {
	e.t.Helper()
	body, err := e.get("/stats?filter=^" + name + "$")
	if err != nil {
		e.t.Fatal(err)
	}
	return strings.TrimSpace(body)
}

package xdsserver

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/tlsdir"
)

// TestARealEnvoyProvesItsGatewayByItsCertificate has all of it as in a cluster: the
// certificates that are issued there, the bootstrap of an Envoy, and the server.
func TestARealEnvoyProvesItsGatewayByItsCertificate(t *testing.T) {
	s := newSystem(t)
	s.slices()
	version := s.publish(site("one", "a")...)
	pair, err := pki.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, err := pki.Parse(pair)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(r pki.Request) string {
		r.Life = time.Hour
		p, err := authority.Issue(r, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, data := range map[string][]byte{tlsdir.CertificateFile: p.Certificate, tlsdir.KeyFile: p.Key, tlsdir.AuthorityFile: authority.PEM} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	config, err := TLS(issue(pki.Request{Server: true, Hosts: []string{"localhost"}}), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	server := s.serveWith("127.0.0.1:0", s.open, func(c *Config) { c.TLS, c.Registerer = config, registry })

	impostor := runEnvoy(t, server.address, issue(pki.Request{URI: pki.GatewayURI("ns/other")}))
	gwtest.Eventually(t, "the Envoy of another Gateway is refused", func() error {
		if n, err := testutil.GatherAndCount(registry, "rutter_xds_streams_refused_total"); err != nil || n == 0 {
			return os.ErrNotExist
		}
		return nil
	})
	impostor()
	runEnvoy(t, server.address, issue(pki.Request{URI: pki.GatewayURI(testGateway)}))
	s.awaitReceipt("its own Envoy holds the version", func(r *routing.Receipt) bool { return holds(version)(r) })
}

// runEnvoy runs an Envoy of the Gateway with the certificate in a directory, until
// the test ends or stop is called.
func runEnvoy(t *testing.T, xds, dir string) (stop func()) {
	t.Helper()
	_, port, err := net.SplitHostPort(xds)
	if err != nil {
		t.Fatal(err)
	}
	run, err := os.MkdirTemp("", "rutter-envoy-") //nolint:usetesting // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	c := envoyproc.Config{
		Path: gwtest.Envoy(t), NodeID: "envoy-0", Gateway: testGateway, XDS: net.JoinHostPort("localhost", port),
		TLS: &envoyproc.TLS{Dir: dir, SecretsDir: t.TempDir()}, RunDir: run, Concurrency: 1, Output: t.Output(),
	}
	files, err := envoyproc.SecretFiles(c.TLS, c.XDS)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(c.TLS.SecretsDir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := envoyproc.Run(ctx, c); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		_ = os.RemoveAll(run)
	})
	t.Cleanup(stop)
	return stop
}

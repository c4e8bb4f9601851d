package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"

func TestTheXDSServerServesWhatIsPublishedAndThenItsCopy(t *testing.T) {
	url := gwtest.NATS(t)
	dir, local := t.TempDir(), t.TempDir()
	sockets, err := os.MkdirTemp("", "rutter-xds-") //nolint:usetesting // sockets have short paths
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(class+gatewayManifest("gw", 8080)), 0o600))
	log, err := natslog.Connect(t.Context(), natslog.Config{URL: url, Name: "test", Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer log.Close()
	for _, c := range events.Streams(1) {
		_, err := log.Stream(t.Context(), c)
		must(t, err)
	}

	first := "unix:" + filepath.Join(sockets, "first")
	server := startService(t, "xds-server", "--cluster", "c", "--nats-url", url, "--name", "xds-0", "--listen", first, "--local-copy", local)
	server.eventually("/readyz", 503, "no version of the routing is known yet")
	startService(t, "projector", "--cluster", "c", "--nats-url", url)
	record(t, log, dir)
	server.eventually("/readyz", 200, "ok")
	if names := listeners(t, first); len(names) != 1 || names[0] != "port-8080" {
		t.Errorf("served are %v", names)
	}
	server.eventually("/metrics", 200, `controller_reconcile_total{controller="xds-server",result="success"}`)
	server.eventually("/metrics", 200, `rutter_xds_lag_messages{stream="SNAPSHOTS"} 0`)
	server.stop()

	// NATS is out of reach; the copy is not.
	second := "unix:" + filepath.Join(sockets, "second")
	server = startService(t, "xds-server", "--cluster", "c", "--nats-url", "nats://127.0.0.1:1", "--name", "xds-0", "--listen", second, "--local-copy", local)
	server.eventually("/readyz", 200, "ok")
	if names := listeners(t, second); len(names) != 1 {
		t.Errorf("served from the copy are %v", names)
	}
}

func TestTheXDSServerRefusesToServeTheNetworkInClear(t *testing.T) {
	for want, flag := range map[string]string{
		"without TLS it listens only on loopback or a unix socket": "--local-copy", "read certificates in": "--tls-dir",
	} {
		var said strings.Builder
		code := run(t.Context(), environment{out: io.Discard, err: &said, now: time.Now},
			[]string{"xds-server", "--listen", ":0", "--http-address", "127.0.0.1:0", flag, t.TempDir()})
		if code != exitFailed || !strings.Contains(said.String(), want) {
			t.Errorf("exit code %d: %s", code, said.String())
		}
	}
}

// listeners are the names that an Envoy of default/gw is sent.
func listeners(t *testing.T, address string) (names []string) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx, grpc.WaitForReady(true))
	must(t, err)
	must(t, stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "envoy", Cluster: "default/gw"}, TypeUrl: listenerType}))
	response, err := stream.Recv()
	must(t, err)
	for _, r := range response.GetResources() {
		names = append(names, r.GetName())
	}
	return names
}

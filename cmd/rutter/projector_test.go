package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestTheProjectorPublishesWhatIsRecordedAndAnotherTakesOver(t *testing.T) {
	url := gwtest.NATS(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(class+gatewayManifest("gw", 8080)), 0o600))
	log, err := natslog.Connect(t.Context(), natslog.Config{URL: url, Name: "test", Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer log.Close()

	first := startService(t, "projector", "--cluster", "c", "--nats-url", url, "--name", "first")
	first.eventually("/readyz", 503, "the listing of a resource is not complete yet")
	second := startService(t, "projector", "--cluster", "c", "--nats-url", url, "--name", "second")
	second.eventually("/readyz", 200, "ok") // stands by

	record(t, log, dir)
	first.eventually("/readyz", 200, "ok")
	snapshots, err := log.Stream(t.Context(), events.StreamConfig{Name: events.StreamSnapshots})
	must(t, err)
	bucket, err := log.Bucket(t.Context(), routing.CheckpointBucket)
	must(t, err)
	follower, err := routing.Follow(t.Context(), snapshots, bucket)
	must(t, err)
	defer follower.Close()
	serves := func(gateway string) { // whichever of the two it is that publishes
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			versions, err := follower.Next(ctx)
			must(t, err)
			for _, v := range versions {
				if slices.ContainsFunc(v.Gateways, func(d routing.GatewayDelta) bool { return d.Gateway == gateway && !d.Deleted }) {
					return
				}
			}
		}
	}
	serves("default/gw")

	first.stop()
	must(t, os.WriteFile(filepath.Join(dir, "b.yaml"), []byte(gatewayManifest("other", 8081)), 0o600))
	serves("default/other")
	second.eventually("/metrics", 200, `controller_reconcile_total{controller="projector",result="success"}`)
}

// record ingests a directory until the test ends.
func record(t *testing.T, log events.Log, dir string) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	c := ingest.Config{
		Dir: dir, Cluster: "c", Holder: "test",
		Settings: events.Settings{
			ControllerName: "rutter.dev/gateway-controller", ListenAddress: "127.0.0.1", RouteLayout: "scoped", Recipient: identity.Recipient().String(),
		},
		Report: func(_, _ []ingest.Problem) {}, Stalled: func(error) {}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	}
	for name, stream := range map[string]*events.Stream{
		events.StreamEvents: &c.Events, events.StreamEndpoints: &c.Endpoints, events.StreamReceipts: &c.Receipts,
	} {
		opened, err := log.Stream(t.Context(), events.StreamConfig{Name: name})
		must(t, err)
		*stream = opened
	}
	c.Bucket, err = log.Bucket(t.Context(), ingest.IndexBucket)
	must(t, err)
	recorder, err := ingest.New(c)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := recorder.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

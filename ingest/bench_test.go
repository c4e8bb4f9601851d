package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
)

// BenchmarkStart is the first start on 10,000 files with a route each, and one
// after it with nothing changed: until all of it is recorded.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		name := fmt.Sprintf("r%05d", i)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(route(name, name+".example")), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		log := memlog.New(memlog.Config{})
		for _, metric := range []string{"first-s", "again-s"} {
			b.ReportMetric(startOnce(b, log, dir).Seconds(), metric)
		}
		log.Close()
	}
}

// startOnce is the time from Run to the first report, which follows the brackets.
func startOnce(b *testing.B, log events.Log, dir string) time.Duration {
	b.Helper()
	streams := map[string]events.Stream{}
	for _, c := range events.Streams(1) {
		s, err := log.Stream(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		streams[c.Name] = s
	}
	bucket, err := log.Bucket(b.Context(), IndexBucket)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	reported, ended, began := make(chan struct{}), make(chan error, 1), time.Now()
	go func() {
		ended <- run(ctx, Config{
			Dir: dir, Cluster: "c", Holder: "h", Sole: true, Bucket: bucket,
			Settings: events.Settings{Recipient: newRecipient(b)}, Events: streams[events.StreamEvents], Endpoints: streams[events.StreamEndpoints],
			Report: func(_, _ []Problem) { close(reported) }, Stalled: func(error) {}, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		}, openManifests)
	}()
	<-reported
	took := time.Since(began)
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return took
}

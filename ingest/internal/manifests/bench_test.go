package manifests_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

// manyRoutes is a directory of n routes of about 1.5 KB, each in its own file.
func manyRoutes(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	for i := range n {
		name := fmt.Sprintf("r%05d", i)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(route(name, 1)), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func openBench(b *testing.B, dir string) *manifests.Reader {
	b.Helper()
	r, err := manifests.Open(manifests.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// record is what is to be recorded of all that a reader finds at first.
func record(tb testing.TB, r *manifests.Reader) []manifests.Recorded {
	tb.Helper()
	var recorded []manifests.Recorded
	for {
		changes, err := r.Next(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		for _, o := range changes.Applied {
			recorded = append(recorded, manifests.Recorded{Key: o.Key, File: o.Source.File, Hash: o.Hash})
		}
		if !changes.More {
			return recorded
		}
	}
}

// BenchmarkInitialLoad reads 10,000 routes, schemas compiled anew each time.
func BenchmarkInitialLoad(b *testing.B) {
	dir := manyRoutes(b, 10_000)
	for b.Loop() {
		r := openBench(b, dir)
		if recorded := record(b, r); len(recorded) != 10_000 {
			b.Fatalf("%d objects", len(recorded))
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-heap")
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRestart reads 10,000 routes that are recorded and did not change, with
// and without knowing that this build has accepted them before.
func BenchmarkRestart(b *testing.B) {
	dir := manyRoutes(b, 10_000)
	r := openBench(b, dir)
	recorded, accepted := record(b, r), r.Accepted()
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	for name, known := range map[string][]manifests.Accepted{"known": accepted, "unknown": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := manifests.Open(manifests.Config{Dir: dir, Recorded: recorded, Accepted: known, Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				if changes, err := r.Next(b.Context()); err != nil || !changes.Empty() {
					b.Fatalf("%d objects, %v", len(changes.Applied), err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSaveToChange is the time from saving one of 10,000 files to its change.
func BenchmarkSaveToChange(b *testing.B) {
	dir := manyRoutes(b, 10_000)
	r := openBench(b, dir)
	defer r.Close()
	record(b, r)
	for name, save := range map[string]func(path string, data []byte) error{
		"write": func(path string, data []byte) error { return os.WriteFile(path, data, 0o644) },
		"rename": func(path string, data []byte) error {
			if err := os.WriteFile(path+".tmp", data, 0o644); err != nil {
				return err
			}
			return os.Rename(path+".tmp", path)
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				saved := make(chan time.Time, 1)
				go func() { // an editor is another process
					name := fmt.Sprintf("r%05d", i%10_000)
					data := []byte(route(name, int(time.Now().UnixNano()%1_000_000)))
					err := save(filepath.Join(dir, name+".yaml"), data)
					saved <- time.Now()
					if err != nil {
						b.Error(err)
					}
				}()
				ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
				changes, err := r.Next(ctx)
				done := time.Now()
				cancel()
				if err != nil || len(changes.Applied) != 1 {
					b.Fatalf("%+v, %v", changes, err)
				}
				took = append(took, done.Sub(<-saved))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

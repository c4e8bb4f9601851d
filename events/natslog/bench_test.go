package natslog

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 5, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, w := take(b, start(b, b.TempDir()))
			batch := make([]events.Message, size)
			for i := range batch {
				batch[i] = message(i, 2048)
			}
			for b.Loop() {
				if _, err := w.Append(b.Context(), batch...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	s, w := take(b, start(b, b.TempDir()))
	const n = 50_000
	batch := make([]events.Message, n)
	for i := range batch {
		batch[i] = message(i, 1024)
	}
	if _, err := w.Append(b.Context(), batch...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r := s.Reader(1)
		for read := 0; read <= n; {
			got, err := r.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			read += len(got)
		}
		r.Close()
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "messages/s")
}

// From an append to the reader that waits for it.
func BenchmarkAppendToRead(b *testing.B) {
	s, w := take(b, start(b, b.TempDir()))
	r := s.Reader(2)
	defer r.Close()
	for b.Loop() {
		if _, err := w.Append(b.Context(), message(0, 1024)); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

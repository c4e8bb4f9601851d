package bundle_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/bundle"
)

// BenchmarkBundle writes, opens and reads a bundle with events like those of a busy
// cluster: 1.5 KB each, every one with its own hostname and Service.
func BenchmarkBundle(b *testing.B) {
	const count = 200_000
	path := filepath.Join(b.TempDir(), "b")
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			writeMany(b, path, count)
		}
		b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "messages/s")
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			f, err := bundle.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	f, err := bundle.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s, err := f.Stream(b.Context(), events.StreamConfig{Name: events.StreamEvents})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Get(b.Context(), 1+rand.Uint64N(count)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			reader := s.Reader(0)
			for n := 0; n < count; {
				batch, err := reader.Next(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				n += len(batch)
			}
		}
		b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

func writeMany(b *testing.B, path string, count uint64) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	w, err := bundle.NewWriter(file, bundle.Header{Streams: []bundle.StreamHeader{{Name: events.StreamEvents}}})
	if err == nil {
		err = w.Begin(events.StreamEvents, 1)
	}
	padding := make([]byte, 600)
	for i := uint64(1); i <= count && err == nil; i++ {
		for j := range padding {
			padding[j] = "0123456789abcdef"[rand.IntN(16)]
		}
		m := event(i)
		m.Data = fmt.Appendf(nil, `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"r%d","namespace":"n%d","uid":"%s","labels":{"a":%q}},"spec":{"hostnames":["h%d.example.com"],"rules":[{"backendRefs":[{"name":"s%d","port":80}]}]}}`,
			i, i%50, padding[:36], padding, i, i)
		err = w.Message(m)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(w.Size())/float64(count), "bytes/message")
}

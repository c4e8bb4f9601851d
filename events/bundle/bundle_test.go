package bundle_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/bundle"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var created = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// event is one of every shape that the log stores.
func event(i uint64) events.Message {
	m := events.Encode(events.Event{
		ID: fmt.Sprintf("u/%d", i), Type: events.ObjectApplied, Cluster: "eu.west", Time: created.Add(time.Duration(i)),
		Key: events.Key{Resource: events.HTTPRoutes, Namespace: "shop", Name: "a.b"}, Epoch: 1,
	})
	m.Sequence, m.Stored, m.Permanent = i, created.Add(time.Duration(i)*time.Second), i%5 == 0
	switch i % 7 {
	case 0:
		m.Data = []byte(`{"a":1.50e1,"b":"<\u003c>"}`)
	case 1:
		m.Data = []byte("{\n}")
	case 2:
		m.Data = []byte{0, 255, '\n'}
	case 3:
		m.Data = []byte(`{"a":1,"a":2}`)
	case 4:
		m.ID = ""
		m.Data = []byte(`{"text":"` + strings.Repeat("é", int(i%400)) + `"}`)
	case 5:
		m.Data = []byte(` {"a":1} `)
	}
	return m
}

// version is a message whose headers are no attributes.
func version(i uint64) events.Message {
	return events.Message{
		Subject: events.SnapshotSubject("eu.west"), Sequence: i, Stored: created, Data: []byte(strings.Repeat("x", 300)),
		Header: map[string]string{"rutter-format": "1", "rutter-version": "I/1", "content-encoding": "", "ce-": "odd", "ce-Odd": "1", "ce-name": "n: m"},
	}
}

// write writes a bundle with so many events from a sequence on.
func write(t *testing.T, from, count uint64) string {
	t.Helper()
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, bundle.Header{
		Created: created, By: "v1.2.3", Cluster: "eu.west", Streams: []bundle.StreamHeader{
			{Name: events.StreamEvents, Incarnation: "E"}, {Name: events.StreamSnapshots, Incarnation: "S"}, {Name: events.StreamReceipts, Incarnation: "R"},
		},
	})
	must(t, err)
	must(t, w.Checkpoint("rutter-folds", "E/7", []byte(`{"format":1}`)))
	must(t, w.Begin(events.StreamEvents, from))
	for i := from; i < from+count; i++ {
		must(t, w.Message(event(i)))
	}
	must(t, w.Begin(events.StreamSnapshots, 1))
	must(t, w.Message(version(1)))
	must(t, w.Checkpoint("rutter-folds", "E/3", []byte(`{"format":2}`)))
	must(t, w.Message(version(2)))
	must(t, w.Begin(events.StreamReceipts, 9))
	must(t, w.Close())
	if w.Size() != int64(out.Len()) {
		t.Errorf("the size is told as %d, and is %d", w.Size(), out.Len())
	}
	path := filepath.Join(t.TempDir(), "test.rutter")
	must(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

func open(t *testing.T, path string) *bundle.File {
	t.Helper()
	f, err := bundle.Open(path)
	must(t, err)
	t.Cleanup(f.Close)
	return f
}

func stream(t *testing.T, log events.Log, name string) events.Stream {
	t.Helper()
	s, err := log.Stream(t.Context(), events.StreamConfig{Name: name})
	must(t, err)
	return s
}

func same(t *testing.T, got, want events.Message) {
	t.Helper()
	if got.Subject != want.Subject || got.ID != want.ID || got.Permanent != want.Permanent || got.Sequence != want.Sequence ||
		!got.Stored.Equal(want.Stored) || !bytes.Equal(got.Data, want.Data) || !maps.Equal(got.Header, want.Header) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestMessagesComeOutAsTheyWere(t *testing.T) {
	const from, count = 11, 8_000 // several frames
	f := open(t, write(t, from, count))
	s := stream(t, f, events.StreamEvents)
	info, err := s.Info(t.Context())
	must(t, err)
	if info.Incarnation != "E" || info.First != from || info.Last != from+count-1 {
		t.Errorf("info is %+v", info)
	}
	reader, next := s.Reader(0), uint64(from)
	for next < from+count {
		batch, err := reader.Next(t.Context())
		must(t, err)
		for _, m := range batch {
			same(t, m, event(next))
			next++
		}
	}
	for range 50 {
		i := from + rand.Uint64N(count)
		m, err := s.Get(t.Context(), i)
		must(t, err)
		same(t, m, event(i))
		batch, err := s.Reader(i).Next(t.Context())
		must(t, err)
		same(t, batch[0], event(i))
	}
	last, err := s.Last(t.Context(), event(from).Subject)
	must(t, err)
	same(t, last, event(from+count-1))
	versions := stream(t, f, events.StreamSnapshots)
	for i := range uint64(2) {
		m, err := versions.Get(t.Context(), i+1)
		must(t, err)
		same(t, m, version(i+1))
	}
	if info, err := stream(t, f, events.StreamReceipts).Info(t.Context()); err != nil || info.First != 9 || info.Last != 8 {
		t.Errorf("an empty stream is %+v: %v", info, err)
	}
}

func TestCheckpointsComeOutByName(t *testing.T) {
	f := open(t, write(t, 1, 10))
	b, err := f.Bucket(t.Context(), "rutter-folds")
	must(t, err)
	names, err := b.List(t.Context())
	must(t, err)
	if !slices.Equal(names, []string{"E/3", "E/7"}) {
		t.Errorf("names are %v", names)
	}
	data, err := b.Get(t.Context(), "E/7")
	if err != nil || string(data) != "\n"+`{"format":1}` {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := b.Get(t.Context(), "E/8"); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("of what is not there: %v", err)
	}
}

func TestABundleIsALogThatCanOnlyBeRead(t *testing.T) {
	f := open(t, write(t, 5, 10))
	if _, err := f.Stream(t.Context(), events.StreamConfig{Name: events.StreamEndpoints, Subjects: []string{"x"}}); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("a stream that is not in it: %v", err)
	}
	s := stream(t, f, events.StreamEvents)
	for i, want := range map[uint64]error{4: events.ErrGap, 16: events.ErrGap} {
		if _, err := s.Reader(i).Next(t.Context()); !errors.Is(err, want) {
			t.Errorf("reader from %d: %v", i, err)
		}
		if _, err := s.Get(t.Context(), i); !errors.Is(err, events.ErrNotFound) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if _, err := s.Publish(t.Context(), event(15)); !errors.Is(err, bundle.ErrReadOnly) {
		t.Errorf("publish: %v", err)
	}
	if _, err := s.Last(t.Context(), "nowhere"); !errors.Is(err, events.ErrNotFound) {
		t.Errorf("last message: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Reader(15).Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("behind the end a reader waits, and got %v", err)
	}
	reader := s.Reader(15)
	reader.Close()
	if _, err := reader.Next(t.Context()); !errors.Is(err, events.ErrClosed) {
		t.Errorf("a closed reader: %v", err)
	}
	f.Close()
	if _, err := s.Get(t.Context(), 5); !errors.Is(err, events.ErrClosed) {
		t.Errorf("a closed bundle: %v", err)
	}
}

// Every line is a CloudEvent, for tools that know nothing of Rutter.
func TestALineIsACloudEvent(t *testing.T) {
	packed, err := os.ReadFile(write(t, 1, 20))
	must(t, err)
	unpacker, err := zstd.NewReader(bytes.NewReader(packed))
	must(t, err)
	defer unpacker.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(unpacker)
	must(t, err)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if want := 1 + 1 + 20 + 1 + 1 + 1 + 1; len(lines) != want {
		t.Errorf("there are %d lines, want %d", len(lines), want)
	}
	for _, line := range lines {
		var e map[string]any
		must(t, json.Unmarshal([]byte(line), &e))
		for _, required := range []string{"specversion", "id", "source", "type"} {
			if e[required] == "" || e[required] == nil {
				t.Errorf("%s is missing in %s", required, line)
			}
		}
		for name, value := range e {
			if _, text := value.(string); name != "data" && !text || strings.ToLower(name) != name {
				t.Errorf("attribute %s is not one in %s", name, line)
			}
		}
		if encoded, ok := e["data_base64"].(string); ok {
			_, err := base64.StdEncoding.DecodeString(encoded)
			must(t, err)
		}
	}
}

func TestWhatIsNoWholeBundleIsRefusedInOneLine(t *testing.T) {
	path := write(t, 1, 1000)
	whole, err := os.ReadFile(path)
	must(t, err)
	refused := func(name string, content []byte, want string) {
		t.Helper()
		must(t, os.WriteFile(path, content, 0o600))
		f, err := bundle.Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s: it is taken for whole", name)
			return
		}
		if text := err.Error(); !strings.Contains(text, want) || strings.Contains(text, "\n") || !strings.Contains(text, path) {
			t.Errorf("%s: got %q, want %q", name, text, want)
		}
	}
	for _, n := range []int{len(whole) - 1, len(whole) - 100, len(whole) / 2, 2000, 100, 20, 5} {
		refused(fmt.Sprintf("cut off after %d of %d", n, len(whole)), whole[:n], "it is")
	}
	refused("cut off", whole[:len(whole)/2], "it is cut off")
	refused("nothing", nil, "it is cut off")
	refused("something else", []byte("apiVersion: v1\n"), "it is no bundle")
	begun := bytes.Clone(whole)
	begun[10] ^= 1
	refused("altered in its first line", begun, "it was altered since it was written")
	for range 60 {
		altered := bytes.Clone(whole)
		at := rand.IntN(len(altered))
		altered[at] ^= byte(1 + rand.IntN(255))
		refused(fmt.Sprintf("byte %d altered", at), altered, "it ")
	}
	unpacker, err := zstd.NewReader(nil)
	must(t, err)
	defer unpacker.Close()
	text, err := unpacker.DecodeAll(whole, nil)
	must(t, err)
	packer, err := zstd.NewWriter(nil)
	must(t, err)
	refused("packed anew", packer.EncodeAll(text, nil), "packed anew by another program")
	newer := bytes.Replace(text, []byte(`"format":1`), []byte(`"format":2`), 1)
	refused("of a newer format", packer.EncodeAll(newer, nil), "it has format 2, and this build reads 1: use the release that wrote it (v1.2.3), or a newer one")
}

func TestAWriterRefusesDisorder(t *testing.T) {
	for name, wrong := range map[string]func(*bundle.Writer) error{
		"a gap":               func(w *bundle.Writer) error { return w.Message(event(3)) },
		"a message twice":     func(w *bundle.Writer) error { return errors.Join(w.Message(event(1)), w.Message(event(1))) },
		"a stream twice":      func(w *bundle.Writer) error { return w.Begin(events.StreamEvents, 1) },
		"a stream of no name": func(w *bundle.Writer) error { return w.Begin("X", 1) },
		"a stream left out":   func(w *bundle.Writer) error { return w.Close() },
	} {
		w, err := bundle.NewWriter(&bytes.Buffer{}, bundle.Header{Streams: []bundle.StreamHeader{{Name: events.StreamEvents}, {Name: events.StreamReceipts}}})
		must(t, err)
		must(t, w.Begin(events.StreamEvents, 1))
		if err := wrong(w); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}

package natslog_test

import (
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
)

// batches of messages like those of a log that had more before, with equal ids and a
// guard among them.
func batches(first, count uint64) iter.Seq2[[]events.Message, error] {
	var all []events.Message
	for i := first; i < first+count; i++ {
		m := events.Message{Subject: "rutter.events.c.services.shop.a", ID: "same", Header: map[string]string{"x": "y", "empty": ""}, Data: []byte(strings.Repeat("d", int(i%50))), Sequence: i}
		if i == first+3 {
			m = events.Encode(events.Event{ID: "epoch", Type: events.TypeEpoch, Cluster: "c", Key: events.EpochKey(events.StreamEvents), Epoch: 4, Data: []byte(`{"epoch":4}`)})
			m.Sequence = i
		}
		all = append(all, m)
	}
	return func(yield func([]events.Message, error) bool) {
		for batch := range slices.Chunk(all, 700) {
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func TestARestoredStreamIsTheOneThatItWas(t *testing.T) {
	dir := t.TempDir()
	open := func() *natslog.Log {
		l, err := natslog.StartServer(t.Context(), natslog.ServerConfig{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	config := events.StreamConfig{Name: events.StreamEvents, Subjects: []string{"rutter.events.>"}, MaxAge: time.Hour}
	const first, count = 41, 3001
	if err := l.Restore(t.Context(), config, "FORMER", first, batches(first, count)); err != nil {
		t.Fatal(err)
	}
	empty := events.StreamConfig{Name: events.StreamReceipts, Subjects: []string{"rutter.receipts.>"}}
	if err := l.Restore(t.Context(), empty, "EMPTY", 7, batches(7, 0)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open() // the directory is whole, and opens as any other
	defer l.Close()
	s, err := l.Stream(t.Context(), events.StreamConfig{Name: config.Name, Subjects: config.Subjects, MaxAge: 2 * time.Hour}) // limits may change
	if err != nil {
		t.Fatal(err)
	}
	if info, err := s.Info(t.Context()); err != nil || info.Incarnation != "FORMER" || info.First != first || info.Last != first+count-1 {
		t.Errorf("stream is %+v: %v", info, err)
	}
	reader := s.Reader(0)
	defer reader.Close()
	var got []events.Message
	for len(got) < count {
		batch, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, batch...)
	}
	i := 0
	for batch, err := range batches(first, count) {
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range batch {
			if m := got[i]; m.Sequence != want.Sequence || m.Subject != want.Subject || m.ID != want.ID || m.Permanent != want.Permanent ||
				string(m.Data) != string(want.Data) || m.Header["x"] != want.Header["x"] || len(m.Header) != len(want.Header) {
				t.Fatalf("got  %+v\nwant %+v", m, want)
			}
			i++
		}
	}
	// It can be written on, by whoever takes the epoch after the one that was restored.
	w, err := s.Acquire(t.Context(), events.LeaseConfig{Cluster: "c", Holder: "h", Sole: true, Open: func(epoch uint64) events.Message {
		return events.Encode(events.Event{ID: "epoch", Type: events.TypeEpoch, Cluster: "c", Key: events.EpochKey(events.StreamEvents), Epoch: epoch})
	}})
	if err != nil || w.Epoch() != 5 {
		t.Fatalf("epoch %d: %v", w.Epoch(), err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if s, err = l.Stream(t.Context(), events.StreamConfig{Name: events.StreamReceipts}); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Info(t.Context()); err != nil || info.First != 7 || info.Last != 6 {
		t.Errorf("an empty stream is %+v: %v", info, err)
	}
}

func TestRestoringRefusesWhatDoesNotFollow(t *testing.T) {
	l, err := natslog.StartServer(t.Context(), natslog.ServerConfig{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config := events.StreamConfig{Name: events.StreamEvents, Subjects: []string{"rutter.events.>"}}
	if err := l.Restore(t.Context(), config, "I", 2, batches(3, 10)); err == nil {
		t.Error("messages after a gap are restored")
	}
	lost := errors.New("lost")
	if err := l.Restore(t.Context(), events.StreamConfig{Name: "X", Subjects: []string{"x"}}, "I", 1, func(yield func([]events.Message, error) bool) { yield(nil, lost) }); !errors.Is(err, lost) {
		t.Errorf("what cannot be read: %v", err)
	}
}

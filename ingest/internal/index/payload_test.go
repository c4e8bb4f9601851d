package index_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
)

func sliceKey(i int) events.Key {
	return events.Key{Resource: events.EndpointSlices, Namespace: "n", Name: fmt.Sprint("s", i)}
}

// payloads are the contents of the slices before a sequence, in the order in which they are handed out.
func (l *log) payloads(x *index.Index, before uint64) ([]string, error) {
	l.t.Helper()
	var out []string
	err := x.Payloads(l.t.Context(), l.stream, before, func(key events.Key, e *index.Entry, payload []byte) error {
		if x.Entries[key] != e {
			l.t.Errorf("%s comes with the entry of another", key)
		}
		out = append(out, string(payload))
		return nil
	})
	return out, err
}

// last is the content of the message that was appended last.
func (l *log) last() string {
	l.t.Helper()
	info, err := l.stream.Info(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := l.stream.Get(l.t.Context(), info.Last)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(m.Data)
}

func TestPayloadsAreWhatTheStreamHolds(t *testing.T) {
	for name, between := range map[string]int{"side by side": 0, "far apart": 40} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t)
			var want []string
			for i := range 5 {
				l.object(events.ObjectApplied, sliceKey(i), map[string]any{"n": i})
				if want = append(want, l.last()); i == 3 {
					continue
				}
				for range between {
					l.object(events.ObjectApplied, events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: "r"}, map[string]any{})
				}
			}
			l.object(events.ObjectApplied, sliceKey(1), map[string]any{"n": "changed"})
			want = append(slices.Delete(want, 1, 2), l.last())
			l.object(events.ObjectDeleted, sliceKey(2), map[string]any{})
			want = slices.Delete(want, 1, 2)
			x := l.load(l.bucket)
			if got, err := l.payloads(x, math.MaxUint64); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			if got, err := l.payloads(x, x.Entries[sliceKey(1)].Sequence); err != nil || !slices.Equal(got, want[:len(want)-1]) {
				t.Errorf("before the last got %q, %v, want %q", got, err, want[:len(want)-1])
			}
		})
	}
}

func TestPayloadsOutliveRetentionInACheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		var want []string
		for i := range 3 {
			l.object(events.ObjectApplied, sliceKey(i), map[string]any{"n": i})
			want = append(want, l.last())
		}
		x := l.load(l.bucket)
		for range 3 { // from one checkpoint to the next
			if err := x.Save(t.Context(), l.bucket, "S", l.stream); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			x = l.load(l.bucket)
		}
		if got, err := l.payloads(x, math.MaxUint64); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}

func TestPayloadsThatAreLostAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.object(events.ObjectApplied, sliceKey(0), map[string]any{})
		x := l.load(l.bucket)
		time.Sleep(2 * time.Hour)
		l.object(events.ObjectApplied, sliceKey(1), map[string]any{})
		if err := x.CatchUp(t.Context(), l.stream, 2); err != nil {
			t.Fatal(err)
		}
		got, err := l.payloads(x, math.MaxUint64)
		if !errors.Is(err, index.ErrLost) || len(got) != 1 || !x.Entries[sliceKey(0)].Again || x.Entries[sliceKey(1)].Again {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

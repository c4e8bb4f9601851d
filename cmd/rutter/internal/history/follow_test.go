package history_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
)

// world is a log to which a test appends.
type world struct {
	t                 *testing.T
	log               *memlog.Log
	events, snapshots events.Stream
	state             *routing.State
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}), state: routing.NewState()}
	t.Cleanup(w.log.Close)
	for _, c := range events.Streams(1) {
		s, err := w.log.Stream(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		switch c.Name {
		case events.StreamEvents:
			w.events = s
		case events.StreamSnapshots:
			w.snapshots = s
		}
	}
	return w
}

func (w *world) open() *history.History {
	w.t.Helper()
	h, err := history.Open(w.t.Context(), w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// record appends a form of the route r and returns its sequence.
func (w *world) record(weight int) uint64 {
	w.t.Helper()
	return w.recordObject(map[string]any{"spec": map[string]any{"weight": weight}})
}

func (w *world) recordObject(object map[string]any) uint64 {
	w.t.Helper()
	return w.recordForm(time.Now(), object)
}

// recordAt is record by another clock.
func (w *world) recordAt(at time.Time, weight int) uint64 {
	w.t.Helper()
	return w.recordForm(at, map[string]any{"spec": map[string]any{"weight": weight}})
}

func (w *world) recordForm(at time.Time, object map[string]any) uint64 {
	w.t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		w.t.Fatal(err)
	}
	m := events.Encode(events.Event{
		ID: "u", Type: events.ObjectApplied, Cluster: "local", Time: at, Data: data,
		Key: events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"},
	})
	m.ID = "" // the same object may be recorded again
	sequence, err := w.events.Publish(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return sequence
}

// publish appends a version of which sequence is the cause.
func (w *world) publish(sequence uint64) {
	w.t.Helper()
	info, err := w.events.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	v := routing.Verdict{Object: events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"}, Generation: int64(sequence)}
	v.Parents = []routing.ParentVerdict{{Gateway: "default/gw", Conditions: []routing.Condition{{Type: "Accepted", Status: "False", Reason: fmt.Sprint("No", sequence)}}}}
	s := &routing.Snapshot{
		Version: events.Version{Incarnation: info.Incarnation, Sequence: sequence}, Previous: w.state.Version,
		Causes: []uint64{sequence}, Verdicts: []routing.Verdict{v}, VerdictDigest: v.Digest(),
	}
	messages, err := routing.EncodeSnapshot("local", s, 1<<20)
	if err == nil {
		_, err = w.snapshots.Publish(w.t.Context(), messages...)
	}
	if err == nil {
		err = w.state.Apply(s)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestFollowedEntryTellsTheVersionThatItLeadsTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(w.record(1))
		h := w.open()
		ctx, cancel := context.WithCancel(t.Context())
		entries, done := make(chan *history.Entry), make(chan error)
		go func() {
			done <- h.Follow(ctx, history.Query{}, func(e *history.Entry) error { entries <- e; return nil })
		}()
		want := func(sequence uint64, change, effect string, within time.Duration) {
			t.Helper()
			began := time.Now()
			e := <-entries
			if got := e.Routing.Short(e.Object); e.Sequence != sequence || e.Change != change || got != effect {
				t.Errorf("got %d %s %q, want %d %s %q", e.Sequence, e.Change, got, sequence, change, effect)
			}
			if took := time.Since(began); took > within {
				t.Errorf("told after %v", took)
			}
		}
		want(1, "created", "Accepted=False (No1)", 0)
		synctest.Wait()
		w.publish(w.record(2))
		want(2, "updated", "Accepted=False (No2)", 0)
		w.record(3) // no version comes of it
		want(3, "updated", "no change in routing", 2*time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFieldsThatChangedAreFound(t *testing.T) {
	w := newWorld(t)
	w.record(1)
	w.record(5)
	entries, last, err := w.open().Entries(t.Context(), history.Query{From: 2})
	if err != nil || last != 2 || len(entries) != 1 || len(entries[0].Fields) != 1 || entries[0].Fields[0].String() != "spec.weight: 1 → 5" {
		t.Errorf("got %+v, %d, %v", entries, last, err)
	}
}

func TestAFieldIsToldByWhatItBecameInTheRoomThereIs(t *testing.T) {
	for want, f := range map[string]struct{ before, after string }{
		"rules[0].value: /a → /b": {"/a", "/b"},
		"value: /first → /second": {"/first", "/second"},
		"value: → /something":     {"/a-long-one-before", "/something"},
		"value changed":           {"/first", "/" + strings.Repeat("long", 9)},
		"value added":             {"", "two\nlines"},
		"value removed":           {"/" + strings.Repeat("long", 9), ""},
	} {
		entries := entriesOf(t, map[string]any{"value": f.before}, map[string]any{"value": f.after})
		if got := entries[1].Fields[0].Short(23); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	entries := entriesOf(t, map[string]any{"tls.crt": "a"}, map[string]any{"tls.crt": strings.Repeat("b", 99)})
	if got, want := entries[1].Fields[0].Short(30), "tls.crt changed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// entriesOf is what the log tells of an object of which a rule is first one and then another.
func entriesOf(t *testing.T, before, after map[string]any) []*history.Entry {
	t.Helper()
	w := newWorld(t)
	for _, rule := range []map[string]any{before, after} {
		w.recordObject(map[string]any{"spec": map[string]any{"rules": []any{rule}}})
	}
	entries, _, err := w.open().Entries(t.Context(), history.Query{})
	if err != nil || len(entries) != 2 || len(entries[1].Fields) != 1 {
		t.Fatalf("got %+v, %v", entries, err)
	}
	return entries
}

func TestTimeIsFoundByBisection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var times []time.Time
		for i := range 20 {
			w.record(i)
			times = append(times, time.Now())
			<-time.After(time.Minute)
		}
		h := w.open()
		for i, at := range times {
			for _, after := range []time.Duration{0, 59 * time.Second} {
				if v, err := h.At(t.Context(), history.Point{Time: at.Add(after)}); err != nil || v.Sequence != uint64(i+1) {
					t.Errorf("%v after event %d: got %v, %v", after, i+1, v, err)
				}
			}
		}
		if v, err := h.At(t.Context(), history.Point{Time: times[0].Add(-time.Second)}); err == nil {
			t.Errorf("before the log: got %v", v)
		}
	})
}

func TestEffectIsUnknownWhereVersionsAreNoLongerKept(t *testing.T) {
	for name, checkpoint := range map[string]bool{"with a checkpoint": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish(w.record(1))
				w.publish(w.record(2))
				if checkpoint {
					w.checkpoint()
				}
				w.keepAMinute(events.StreamSnapshots)
				<-time.After(time.Hour)
				entries, _, err := w.open().Entries(t.Context(), history.Query{})
				if err != nil || len(entries) != 2 || !entries[0].RoutingUnknown || !entries[1].RoutingUnknown {
					t.Fatalf("got %+v, %v", entries, err)
				}
				if !checkpoint {
					return
				}
				w.publish(w.record(3))
				entries, _, err = w.open().Entries(t.Context(), history.Query{})
				if err != nil || len(entries) != 3 || entries[2].RoutingUnknown || entries[2].Routing == nil || !entries[1].RoutingUnknown {
					t.Fatalf("got %+v, %v", entries, err)
				}
			})
		})
	}
}

// checkpoint stores the state as of now.
func (w *world) checkpoint() {
	w.t.Helper()
	bucket, err := w.log.Bucket(w.t.Context(), routing.CheckpointBucket)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := w.snapshots.Info(w.t.Context())
	if err == nil {
		err = routing.PutCheckpoint(w.t.Context(), bucket, events.Version{Incarnation: info.Incarnation, Sequence: info.Last}, w.state.Full())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

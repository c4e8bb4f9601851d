package history_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/fold"
)

var blamedRoute = events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"}

// recordedForm is what is recorded of an object that was created at some time.
func recordedForm(created time.Time, spec map[string]any) map[string]any {
	return map[string]any{"metadata": map[string]any{
		"uid": "u", "creationTimestamp": created.UTC().Format(time.RFC3339),
		"managedFields": []any{map[string]any{"manager": "helm", "time": created.UTC().Format(time.RFC3339)}},
	}, "spec": spec}
}

func (w *world) recordAs(kind events.Type, key events.Key, payload any) uint64 {
	w.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	m := events.Encode(events.Event{ID: "u", Type: kind, Cluster: "local", Key: key, Time: time.Now(), Data: data})
	m.ID = ""
	sequence, err := w.events.Publish(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return sequence
}

// blame is the fields of the route as "path sequence before by".
func (w *world) blame() string {
	w.t.Helper()
	h := w.open()
	now, err := h.At(w.t.Context(), history.Point{})
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := h.Blame(w.t.Context(), blamedRoute, now)
	if err != nil || b == nil {
		w.t.Fatalf("got %v, %v", b, err)
	}
	out := ""
	for _, f := range b.Fields {
		out += fmt.Sprintf("%s %d %v %s\n", f.Path, f.Sequence, f.Before, f.By)
	}
	return out
}

func TestWhatAListFoundIsBlamedOnNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		created := time.Now()
		<-time.After(time.Hour)
		list := events.SyncKey(events.HTTPRoutes)
		sync := events.Sync{Resource: events.HTTPRoutes}
		w.recordAs(events.TypeSyncStart, list, sync)
		w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(created, map[string]any{"a": 1, "b": 1, "c": 1, "d": 1}))
		w.recordAs(events.TypeSyncDone, list, sync)
		w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(created, map[string]any{"a": 1, "b": 2, "c": 1, "d": 1}))
		w.recordAs(events.TypeSyncStart, list, sync) // after a gap
		w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(created, map[string]any{"a": 1, "b": 2, "c": 2, "d": 1}))
		w.recordAs(events.TypeSyncDone, list, sync)
		w.recordAs(events.ObjectBaseline, blamedRoute, recordedForm(created, map[string]any{"a": 1, "b": 2, "c": 2, "d": 2}))
		if got, want := w.blame(), "spec.a 2 true \nspec.b 4 false helm\nspec.c 6 true \nspec.d 8 true \n"; got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}

func TestWhatWasCreatedWhileItIsListedIsBlamedOnItsCreator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.recordAs(events.TypeSyncStart, events.SyncKey(events.HTTPRoutes), events.Sync{Resource: events.HTTPRoutes})
		w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(time.Now(), map[string]any{"a": 1}))
		if got, want := w.blame(), "spec.a 2 false helm\n"; got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}

func TestBlameSaysWhoAskedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, second := form{uid: "u", version: "10", manager: "kubectl", weight: 1}, form{uid: "u", version: "20", manager: "helm", weight: 2}
		w.change(first)
		w.seen("alice", "UPDATE", "10", second)
		w.change(second)
		now, err := w.open().At(t.Context(), history.Point{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.open().Blame(t.Context(), blamedRoute, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Fields[len(b.Fields)-1]; got.Path != "spec.weight" || got.Who() != "alice (helm)" {
			t.Errorf("got %+v", got)
		}
		for _, ask := range []func() (*history.Entry, error){
			func() (*history.Entry, error) {
				found, err := w.open().Trace(t.Context(), blamedRoute, 0)
				return found.Entry, err
			},
			func() (*history.Entry, error) {
				found, err := w.open().EntriesOf(t.Context(), []uint64{1, 2})
				return found[1], err
			},
		} {
			if e, err := ask(); err != nil || e.Who() != "alice (helm)" {
				t.Errorf("got %s, %v", e.Who(), err)
			}
		}
	})
}

func TestBlameSaysWhereTheLogDoesNotReachBack(t *testing.T) {
	for name, c := range map[string]struct {
		checkpoint bool
		want       string
	}{
		"with a checkpoint": {true, "spec.a 0 true \nspec.b 3 false helm\n"},
		"without one":       {false, "spec.a 3 true \nspec.b 3 true \n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				created := time.Now()
				w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(created, map[string]any{"a": 1, "b": 1}))
				if c.checkpoint {
					w.foldCheckpoint()
				}
				<-time.After(time.Hour)
				w.recordAs(events.ObjectApplied, events.Key{Resource: events.Namespaces, Name: "n"}, recordedForm(time.Now(), nil))
				w.keepAMinute(events.StreamEvents)
				w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(created, map[string]any{"a": 1, "b": 2}))
				if got := w.blame(); got != c.want {
					t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
				}
			})
		})
	}
}

// foldCheckpoint stores the fold as of now.
func (w *world) foldCheckpoint() {
	w.t.Helper()
	info, err := w.events.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	state := fold.NewState(info.Incarnation)
	for sequence := info.First; sequence <= info.Last; sequence++ {
		m, err := w.events.Get(w.t.Context(), sequence)
		if err != nil {
			w.t.Fatal(err)
		}
		e, err := events.Decode(m)
		if err == nil {
			_, err = state.Apply(e)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	data, encoding, err := routing.MarshalStream(state.Write)
	if err != nil {
		w.t.Fatal(err)
	}
	bucket, err := w.log.Bucket(w.t.Context(), projector.FoldBucket)
	if err == nil {
		err = bucket.Put(w.t.Context(), fmt.Sprintf("%s/%020d", info.Incarnation, info.Last), append([]byte(encoding+"\n"), data...))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

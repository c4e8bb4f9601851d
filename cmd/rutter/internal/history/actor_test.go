package history_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
)

// form is a state of the route r.
type form struct {
	uid, version, manager, deletion string
	weight                          int
	finalizers                      []any
}

func (f form) object() map[string]any {
	m := map[string]any{"name": "r", "namespace": "default", "uid": f.uid, "resourceVersion": f.version}
	if f.manager != "" {
		m["managedFields"] = []any{map[string]any{"manager": f.manager, "time": "2026-11-24T00:00:00Z"}}
	}
	if f.deletion != "" {
		m["deletionTimestamp"] = f.deletion
	}
	if f.finalizers != nil {
		m["finalizers"] = f.finalizers
	}
	return map[string]any{"metadata": m, "spec": map[string]any{"weight": f.weight}}
}

func (w *world) change(f form) { w.t.Helper(); w.recordObject(f.object()) }

func (w *world) delete(uid, version string) {
	w.t.Helper()
	w.event(events.StreamEvents, events.ObjectDeleted, map[string]any{"metadata": map[string]any{"name": "r", "namespace": "default", "uid": uid, "resourceVersion": version}})
}

func (w *world) event(stream string, kind events.Type, payload any) {
	w.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	m := events.Encode(events.Event{
		ID: "x", Type: kind, Cluster: "local", Time: time.Now(), Data: data,
		Key: events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"},
	})
	m.ID = ""
	s, err := w.log.Stream(w.t.Context(), events.StreamConfig{Name: stream})
	if err == nil {
		_, err = s.Publish(w.t.Context(), m)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// seen is that somebody asks to turn a state, of a resourceVersion, into a form.
func (w *world) seen(user, operation, from string, to form, change ...func(*events.ActorObserved)) {
	w.t.Helper()
	o := events.ActorObserved{
		User: user, Groups: []string{"team"}, RequestUID: fmt.Sprint("review of ", user), Operation: operation, UID: to.uid, ResourceVersion: from,
	}
	if operation != "DELETE" {
		content, err := events.Content(to.object())
		if err != nil {
			w.t.Fatal(err)
		}
		o.Content = hex.EncodeToString(content[:])
	}
	for _, c := range change {
		c(&o)
	}
	w.event(events.StreamActors, events.TypeActor, o)
}

// over is that what was there had a weight.
func over(weight int) func(*events.ActorObserved) {
	content, err := events.Content(form{weight: weight}.object())
	if err != nil {
		panic(err)
	}
	return func(o *events.ActorObserved) { o.Before = hex.EncodeToString(content[:]) }
}

func dryRun(o *events.ActorObserved) { o.DryRun = true }

// who is what the log says of each change.
func (w *world) who(q history.Query) string {
	w.t.Helper()
	entries, _, err := w.open().Entries(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Change+": "+e.Who())
	}
	return strings.Join(out, "\n")
}

func TestAChangeIsJoinedToWhoAskedForIt(t *testing.T) {
	a := func(version string, weight int) form {
		return form{uid: "u", version: version, manager: "kubectl", weight: weight}
	}
	for name, c := range map[string]struct {
		story func(*world)
		want  string
	}{
		"created, updated and deleted": {func(w *world) {
			w.seen("alice", "CREATE", "", a("", 1))
			w.change(a("10", 1))
			w.seen("bob", "UPDATE", "12", a("12", 2), over(1)) // 12 is a status
			w.change(a("20", 2))
			w.seen("carol", "DELETE", "20", form{uid: "u"})
			w.delete("u", "30")
		}, "created: alice (kubectl)\nupdated: bob (kubectl)\ndeleted: carol"},
		"what is seen late counts": {func(w *world) {
			w.change(a("10", 1))
			w.seen("alice", "CREATE", "", a("", 1))
		}, "created: alice (kubectl)"},
		"nobody was seen": {func(w *world) {
			w.seen("alice", "CREATE", "", a("", 1))
			w.change(a("10", 1))
			w.change(a("20", 2))
			w.delete("u", "30")
		}, "created: alice (kubectl)\nupdated: nobody seen (kubectl)\ndeleted: nobody seen"},
		"nobody ever looked": {func(w *world) {
			w.change(a("10", 1))
			w.delete("u", "30")
		}, "created: kubectl\ndeleted: -"},
		"a dry run changes nothing": {func(w *world) {
			w.seen("alice", "CREATE", "", a("", 1), dryRun)
			w.change(a("10", 1))
			w.seen("alice", "DELETE", "10", form{uid: "u"}, dryRun)
			w.delete("u", "30")
		}, "created: nobody seen (kubectl)\ndeleted: nobody seen"},
		"what was refused, or another content, is another change": {func(w *world) {
			w.change(a("10", 1))
			w.seen("alice", "UPDATE", "10", a("10", 3), over(1))
			w.seen("bob", "UPDATE", "10", a("10", 2), over(1))
			w.change(a("20", 2))
		}, "created: nobody seen (kubectl)\nupdated: bob (kubectl)"},
		"two who ask for the same are both named": {func(w *world) {
			w.change(a("10", 1))
			w.seen("bob", "UPDATE", "10", a("10", 2), over(1))
			w.seen("alice", "UPDATE", "10", a("10", 2), over(1))
			w.seen("bob", "UPDATE", "11", a("11", 2), over(1)) // a conflict, tried again
			w.change(a("20", 2))
		}, "created: nobody seen (kubectl)\nupdated: alice or bob (kubectl)"},
		"who asks for what is there already does not come into question": {func(w *world) {
			w.change(a("10", 1))
			w.seen("alice", "UPDATE", "10", a("10", 2), over(1))
			w.change(a("20", 2))
			w.seen("bob", "UPDATE", "20", a("20", 2), over(2))
			w.seen("bob", "UPDATE", "20", a("20", 1), over(2))
			w.change(a("30", 1))
			w.change(a("40", 2)) // again, and nobody was seen
		}, "created: nobody seen (kubectl)\nupdated: alice (kubectl)\nupdated: bob (kubectl)\nupdated: nobody seen (kubectl)"},
		"changes that are recorded as one have several who asked": {func(w *world) {
			w.seen("alice", "CREATE", "", a("", 1))
			w.change(a("10", 1))
			w.seen("mallory", "UPDATE", "10", a("10", 7), over(1)) // refused
			w.seen("bob", "UPDATE", "10", a("10", 2), over(1))
			w.seen("alice", "UPDATE", "12", a("12", 3), over(2))
			w.seen("alice", "UPDATE", "14", a("14", 4), over(3))
			w.change(a("20", 4))
			w.seen("alice", "UPDATE", "22", a("22", 6), over(5)) // nobody was seen making it 5
			w.change(a("30", 6))
			w.seen("bob", "UPDATE", "34", a("34", 8), over(7))
			w.seen("alice", "UPDATE", "36", a("36", 9), over(8))
			w.change(a("40", 9))
		}, "created: alice (kubectl)\nupdated: bob, then alice (kubectl)\nupdated: somebody, then alice (kubectl)\nupdated: somebody, bob, then alice (kubectl)"},
		"what was changed before it was recorded at all": {func(w *world) {
			w.seen("alice", "UPDATE", "5", a("", 1), over(0))
			w.seen("bob", "UPDATE", "6", a("", 2), over(1))
			w.change(a("10", 2))
		}, "created: alice, then bob (kubectl)"},
		"another object of the name": {func(w *world) {
			w.seen("alice", "CREATE", "", a("", 1))
			w.change(a("10", 1))
			w.seen("bob", "DELETE", "10", form{uid: "u"})
			w.delete("u", "20")
			w.seen("carol", "CREATE", "", form{uid: "v", weight: 1})
			w.change(form{uid: "v", version: "30", weight: 1})
		}, "created: alice (kubectl)\ndeleted: bob\ncreated: carol"},
		"finalizers put a deletion off": {func(w *world) {
			kept := a("10", 1)
			kept.finalizers = []any{"a", "b"}
			w.change(kept)
			w.seen("alice", "DELETE", "10", form{uid: "u"})
			kept.version, kept.deletion = "20", "2026-11-24T00:00:00Z"
			w.change(kept)
			w.seen("controller", "UPDATE", "20", form{uid: "u", weight: 1, deletion: kept.deletion, finalizers: []any{"b"}})
			kept.version, kept.finalizers = "30", []any{"b"}
			w.change(kept)
			w.seen("bob", "DELETE", "30", form{uid: "u"}) // too late to matter
			<-time.After(time.Hour)
			w.delete("u", "40")
		}, "created: nobody seen (kubectl)\nupdated: alice (kubectl)\nupdated: controller (kubectl)\ndeleted: alice"},
		"long ago is no answer": {func(w *world) {
			w.seen("alice", "CREATE", "", a("", 1))
			<-time.After(2 * time.Minute)
			w.change(a("10", 1))
		}, "created: nobody seen (kubectl)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c.story(w)
				if got := w.who(history.Query{}); got != c.want {
					t.Errorf("got\n%s\nwant\n%s", got, c.want)
				}
				// A part of the log says the same as the whole.
				lines := strings.Split(c.want, "\n")
				if got := w.who(history.Query{From: uint64(len(lines))}); got != lines[len(lines)-1] {
					t.Errorf("the last alone: %s", got)
				}
			})
		})
	}
}

func TestWhoAskedIsReadFromWhereItMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 1000 {
			w.seen("somebody", "UPDATE", "10", form{uid: "u", weight: i})
			<-time.After(time.Second)
		}
		w.seen("alice", "CREATE", "", form{uid: "v", weight: 1})
		w.change(form{uid: "v", version: "2000", weight: 1})
		if got := w.who(history.Query{}); got != "created: alice" {
			t.Error(got)
		}
	})
}

func TestFollowWaitsForWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.change(form{uid: "t", version: "1"})
		w.seen("alice", "CREATE", "", form{uid: "u", weight: 1}) // just before
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told := make(chan string, 10)
		done := make(chan error, 1)
		h := w.open()
		go func() {
			done <- h.Follow(ctx, history.Query{}, func(e *history.Entry) error {
				told <- e.Change + ": " + e.Who()
				return nil
			})
		}()
		next := func(want string) {
			t.Helper()
			if got := <-told; got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		next("created: nobody seen")
		w.change(form{uid: "u", version: "10", weight: 1})
		next("replaced: alice")
		w.publish(w.recordObject(form{uid: "u", version: "20", weight: 2}.object()))
		<-time.After(300 * time.Millisecond)
		w.seen("bob", "UPDATE", "10", form{uid: "u", weight: 2}, over(1)) // after the change, and after its version
		next("updated: bob")
		w.delete("u", "30")
		next("deleted: nobody seen")
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestWhoAskedIsToldInJSON(t *testing.T) {
	w := newWorld(t)
	w.change(form{uid: "u", version: "10", weight: 1})
	w.seen("bob", "UPDATE", "10", form{uid: "u", weight: 2}, over(1))
	w.change(form{uid: "u", version: "20", weight: 2})
	w.seen("bob", "DELETE", "20", form{uid: "u"})
	w.seen("alice", "DELETE", "20", form{uid: "u"})
	w.delete("u", "30")
	entries, _, err := w.open().Entries(t.Context(), history.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`"nobodySeen":true`,
		`"actor":{"user":"bob","groups":["team"],"requestUID":"review of bob"}`,
		`"actor":{"anyOf":[{"user":"alice","groups":["team"],"requestUID":"review of alice"},{"user":"bob","groups":["team"],"requestUID":"review of bob"}]}`,
	} {
		data, err := json.Marshal(entries[i])
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s, %v; want %s", data, err, want)
		}
	}
}

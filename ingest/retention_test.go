package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
)

const day = 24 * time.Hour

// listed is what a reader without a checkpoint knows of the slices: what stands
// in the stream, if a list was begun and completed in it.
func (r *rig) listed() (slices map[events.Key]events.Event, whole bool) {
	r.t.Helper()
	slices, begun := map[events.Key]events.Event{}, false
	for _, e := range r.read(r.config.Endpoints, 0) {
		switch e.Type {
		case events.TypeSyncStart:
			begun = true
		case events.TypeSyncDone:
			whole = whole || begun
		case events.ObjectApplied, events.ObjectBaseline:
			slices[e.Key] = e
		case events.ObjectDeleted:
			delete(slices, e.Key)
		}
	}
	return slices, whole
}

// identities are those of all that a stream holds, by key.
func (r *rig) identities(s events.Stream) map[events.Key]string {
	r.t.Helper()
	out := map[events.Key]string{}
	for _, e := range r.read(s, 0) {
		if e.Type == events.ObjectApplied || e.Type == events.ObjectBaseline {
			out[e.Key] = identity(r.t, e)
		}
	}
	return out
}

func TestFortyDaysOfStandstillCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(route("a", "a.example") + route("b", "b.example") + slice("s1", "10.0.0.1") + slice("s2", "10.0.0.2"))
		stop := r.start()
		synctest.Wait()
		r.shelf.put(route("b", "changed.example") + slice("s2", "10.0.0.3"))
		synctest.Wait()
		must(t, stop())
		endpoints := r.identities(r.config.Endpoints)

		time.Sleep(40 * day)
		next := r.after(r.config.Events)
		stop = r.start()
		synctest.Wait()
		if got, want := story(r.read(r.config.Events, next)), "epoch.opened, sync.started, sync.completed"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		now, whole := r.listed()
		if !whole || len(now) != 2 {
			t.Errorf("a new reader finds %d slices, in a whole list %v", len(now), whole)
		}
		for key, was := range endpoints {
			if got := identity(t, now[key]); got != was {
				t.Errorf("%s is %s and was %s", key, got, was)
			}
		}

		next = r.after(r.config.Events)
		r.shelf.put(route("c", "c.example"))
		synctest.Wait()
		created := r.read(r.config.Events, next)
		if len(created) != 1 || created[0].ID[len(created[0].ID)-2:] != "/7" {
			t.Errorf("after 6 changes %s is recorded as %s", story(created), created[0].ID)
		}
		must(t, stop())
	})
}

// scaled lets a day pass in a minute, so that heartbeats do not fill the bubble.
func (r *rig) scaled() {
	r.t.Helper()
	for name, c := range r.configs {
		c.MaxAge /= 24 * 60
		r.configs[name] = c
		r.stream(name)
	}
	r.config.Upkeep, r.config.RelistAfter = defaultUpkeep/(24*60), defaultRelistAfter/(24*60)
}

func TestEndpointsOutliveRetentionWhileIngestRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = time.Minute
		r := newRig(t)
		defer r.log.Close()
		r.scaled()
		text := ""
		for i := range 1100 { // more than fit one atomic batch
			text += slice(fmt.Sprintf("s%04d", i), "10.0.0.1")
		}
		r.shelf.put(route("a", "a.example") + text)
		stop := r.start()
		synctest.Wait()
		first := r.identities(r.config.Endpoints)
		for range 12 {
			time.Sleep(day * 7 / 10)
			synctest.Wait()
			now, whole := r.listed()
			if !whole || len(now) != len(first) {
				t.Fatalf("a new reader finds %d slices, in a whole list %v", len(now), whole)
			}
			for key, e := range now {
				if got := identity(t, e); got != first[key] {
					t.Fatalf("%s is %s and was %s", key, got, first[key])
				}
			}
		}
		must(t, stop())
	})
}

func TestEndpointsThatRetentionRemovedWhileIngestSleptAreListedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = time.Minute
		r := newRig(t)
		defer r.log.Close()
		r.scaled()
		r.config.RelistAfter = 5 * day // a machine that was asleep for so long
		r.shelf.put(route("a", "a.example") + slice("s1", "10.0.0.1") + slice("s2", "10.0.0.2"))
		stop := r.start()
		synctest.Wait()
		first := r.identities(r.config.Endpoints)
		time.Sleep(5*day + 2*r.config.Upkeep)
		synctest.Wait()
		now, whole := r.listed()
		if !whole || len(now) != 2 {
			t.Fatalf("a new reader finds %d slices, in a whole list %v", len(now), whole)
		}
		for key, e := range now {
			if was, is := first[key], identity(t, e); is[:36] != was[:36] || e.Type != events.ObjectBaseline {
				t.Errorf("%s is %s %s and was %s, want a baseline of the same uid", key, e.Type, is, was)
			}
		}
		must(t, stop())
	})
}

// mortal is a store that a process which was killed does not reach any more.
type mortal struct {
	events.Bucket
	dead bool
}

func (m *mortal) Put(ctx context.Context, name string, data []byte) error {
	if m.dead {
		return nil
	}
	return m.Bucket.Put(ctx, name, data)
}

func TestWhatWasRecordedAnHourAgoSurvivesAKillAndFortyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		store := &mortal{Bucket: r.config.Bucket}
		r.config.Bucket = store
		r.config.Upkeep = time.Minute
		r.shelf.put(route("a", "a.example"))
		stop := r.start()
		synctest.Wait()
		r.shelf.put(route("a", "changed.example"))
		time.Sleep(2 * r.config.Upkeep)
		synctest.Wait()
		store.dead = true
		must(t, stop())

		store.dead = false
		time.Sleep(40 * day)
		next := r.after(r.config.Events)
		stop = r.start()
		synctest.Wait()
		if got, want := story(r.read(r.config.Events, next)), "epoch.opened, sync.started, sync.completed"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		must(t, stop())
	})
}

func TestAfterAGapEverythingIsRecordedAgainUnderItsIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		store := &mortal{Bucket: r.config.Bucket}
		r.config.Bucket = store
		r.shelf.put(route("a", "a.example") + route("b", "b.example") + slice("s", "10.0.0.1"))
		stop := r.start()
		synctest.Wait()
		was := r.identities(r.config.Events)[routeKey("b")]
		r.shelf.put(route("a", "changed.example") + slice("s", "10.0.0.2"))
		synctest.Wait()
		store.dead = true // before anything was stored
		must(t, stop())

		store.dead = false
		time.Sleep(40 * day)
		next := r.after(r.config.Events)
		stop = r.start()
		synctest.Wait()
		if got, want := story(r.read(r.config.Events, next)), "epoch.opened, sync.started, applied httproutes/a, baseline httproutes/b, sync.completed"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		now := r.identities(r.config.Events)[routeKey("b")]
		if uid := len(was) - len("/2"); now[:uid] != was[:uid] || now == was {
			t.Errorf("b is %s and was %s, want the same uid", now, was)
		}
		slices, whole := r.listed()
		if !whole || string(slices[sliceKey("s")].Type) != string(events.ObjectApplied) {
			t.Errorf("a new reader finds %v, in a whole list %v", slices, whole)
		}
		must(t, stop())
	})
}

// wholes are the resources whose last list says that it is whole.
func wholes(t *testing.T, list []events.Event) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, e := range list {
		if e.Type == events.TypeSyncDone {
			var sync events.Sync
			must(t, json.Unmarshal(e.Data, &sync))
			out[sync.Resource] = sync.Whole
		}
	}
	return out
}

func TestWhatNoFoldHoldsIsRecordedAgainInWholeLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.scaled()
		folded := uint64(0)
		r.config.Folded = func(context.Context, events.StreamInfo) (uint64, error) { return folded, nil }
		r.shelf.put(route("a", "a.example") + route("b", "b.example") + slice("s", "10.0.0.1"))
		stop := r.start()
		synctest.Wait()
		must(t, stop())

		next := r.after(r.config.Events)
		stop = r.start() // nothing is lost yet
		synctest.Wait()
		recorded := r.read(r.config.Events, next)
		if got, want := story(recorded), "epoch.opened, sync.started, sync.completed"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		if wholes(t, recorded)[events.HTTPRoutes] {
			t.Error("a list of differences says that it is whole")
		}

		time.Sleep(31 * time.Minute) // days, under the eyes of ingest
		synctest.Wait()
		next = r.after(r.config.Events)
		r.shelf.put(route("c", "c.example"))
		synctest.Wait()
		again := r.read(r.config.Events, 0)
		if !wholes(t, again)[events.HTTPRoutes] {
			t.Errorf("no whole list of HTTPRoutes is in the stream: %s", story(again))
		}
		if created := r.read(r.config.Events, next); story(created) != "applied httproutes/c" {
			t.Errorf("afterwards, %s is recorded", story(created))
		}
		names := map[string]bool{}
		for _, e := range again {
			names[e.Key.Name] = true
		}
		if !names["a"] || !names["b"] {
			t.Errorf("the stream does not hold every route: %s", story(again))
		}
		must(t, stop())
	})
}

func TestAListThatWasOnlyBegunDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		stop := r.start()
		synctest.Wait()
		must(t, stop())
		time.Sleep(2 * day)
		m, err := newMetrics(prometheus.NewRegistry())
		must(t, err)
		s := &Service{Config: r.config, metrics: m}
		s.RelistAfter = defaultRelistAfter
		s.endpoints, err = s.openOutput(t.Context(), events.StreamEndpoints, r.config.Endpoints, true, nil)
		must(t, err)
		if !s.relistDue() {
			t.Error("a list of two days ago is young enough")
		}
		must(t, s.beginRelist(t.Context()))
		if !s.relistDue() {
			t.Error("a list that was only begun counts")
		}
		must(t, s.endpoints.writer.Close(t.Context()))
	})
}

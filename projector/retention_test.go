package projector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// A projector that was killed before it took a checkpoint, and then stayed away
// until retention had removed what it would have to read, must neither refuse to
// start for ever nor take the rest for everything.
func TestAfterAGapNothingIsPublishedBeforeAWholeList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.list()
		r.route("r", "web")
		stop := r.project(0)
		before := r.reach(r.last)
		stop()
		must(t, r.writer.Close(t.Context()))
		names, err := r.folds.List(t.Context())
		must(t, err)
		for _, name := range names {
			must(t, r.folds.Delete(t.Context(), name))
		}
		time.Sleep(40 * 24 * time.Hour)

		r.acquire()
		r.sync(events.TypeSyncStart)
		r.route("r2", "api")
		r.sync(events.TypeSyncDone) // lists only what differs from what was recorded
		stop = r.project(0)
		synctest.Wait()
		if got := r.newest(); got.Version.Sequence != before.Version.Sequence {
			t.Fatalf("version %s was published out of a part of the world", got.Version)
		}

		must(t, r.writer.Close(t.Context()))
		r.acquire()
		r.sync(events.TypeSyncStart)
		r.world()
		r.route("r", "web")
		for _, resource := range []string{events.Gateways, events.HTTPRoutes} {
			r.append(events.TypeSyncDone, events.SyncKey(resource), `{"resource":"`+resource+`","whole":true}`)
		}
		after := r.reach(r.last)
		if got, was := len(after.Gateways["default/gw"].Resources), len(before.Gateways["default/gw"].Resources); got <= was {
			t.Errorf("%d resources are published, want more than the %d of before", got, was)
		}
		stop() // takes a checkpoint
		stop = r.project(0)
		r.route("r3", "api")
		r.reach(r.last)
		stop()
		must(t, r.writer.Close(t.Context()))
	})
}

func TestFortyDaysOfStandstillChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.list()
		stop := r.project(0)
		r.reach(r.last)
		r.route("r", "web") // only the end takes a checkpoint of it
		before := r.reach(r.last)
		stop()
		must(t, r.writer.Close(t.Context()))
		time.Sleep(40 * 24 * time.Hour)

		published := r.published()
		stop = r.project(0)
		after := r.reach(r.last)
		synctest.Wait()
		if got := r.published(); got != published+1 {
			t.Errorf("the restart appended %d messages to SNAPSHOTS, want its guard alone", got-published)
		}
		if after.Version != before.Version || after.Gateways["default/gw"].Digest != before.Gateways["default/gw"].Digest {
			t.Errorf("the version is %s and was %s", after.Version, before.Version)
		}
		r.acquire()
		r.sync(events.TypeSyncStart)
		r.sync(events.TypeSyncDone)
		r.route("r2", "api")
		if next := r.reach(r.last); len(next.Gateways["default/gw"].Resources) <= len(after.Gateways["default/gw"].Resources) {
			t.Error("a new route brought no new resource")
		}
		stop()
		must(t, r.writer.Close(t.Context()))
	})
}

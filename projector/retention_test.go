package projector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

func TestFortyDaysOfStandstillChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.sync(events.TypeSyncStart)
		r.world()
		r.sync(events.TypeSyncDone)
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

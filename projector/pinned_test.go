package projector_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// pin records a RoutingPin, and what ingest records beside it.
func (r *rig) pin(content *routing.Snapshot) {
	r.t.Helper()
	head := events.PinnedRouting{Gateway: "default/gw", Version: content.Version.String(), Digest: content.Gateways[0].Digest.String()}
	r.apply(events.RoutingPins, "default", "gw", fmt.Sprintf(`{"gatewayRef":{"name":"gw"},"version":%q,"digest":%q}`, head.Version, head.Digest))
	parts, err := routing.EncodePinned(head, content, 20<<10)
	must(r.t, err)
	for _, part := range parts {
		data, err := json.Marshal(part)
		must(r.t, err)
		r.append(events.TypePinned, events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "gw"}, string(data))
	}
}

// Retention removes the version from SNAPSHOTS, and from EVENTS what was recorded of it.
func TestWhatIsPinnedOutlivesRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.list()
		r.route("r", "web")
		stop := r.project(0)
		content := routing.Pinned(r.reach(r.last), "default/gw")
		r.route("r", "api")
		live := r.reach(r.last)
		r.pin(content)
		before := r.reach(r.last)
		if digest := before.Gateways["default/gw"].Digest; digest != content.Gateways[0].Digest || digest == live.Gateways["default/gw"].Digest {
			t.Fatalf("published is %s, pinned %s", digest.Short(), content.Gateways[0].Digest.Short())
		}
		stop()
		must(t, r.writer.Close(t.Context()))
		time.Sleep(40 * 24 * time.Hour)
		for _, stream := range []events.Stream{r.events, r.snapshots} {
			if info, err := stream.Info(t.Context()); err != nil || info.First <= r.last && stream == r.events {
				t.Fatalf("retention has removed nothing: %+v, %v", info, err)
			}
		}

		stop = r.project(0)
		r.acquire()
		r.sync(events.TypeSyncStart)
		r.sync(events.TypeSyncDone)
		r.route("r2", "api") // waits
		if after := r.reach(r.last); after.Gateways["default/gw"].Digest != content.Gateways[0].Digest {
			t.Errorf("after the restart %s is published, and pinned is %s", after.Gateways["default/gw"].Digest.Short(), content.Gateways[0].Digest.Short())
		}
		r.append(events.ObjectDeleted, events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "gw"}, `{}`)
		if after := r.reach(r.last); after.Gateways["default/gw"].Digest == content.Gateways[0].Digest {
			t.Error("without the pin nothing changed")
		}
		stop()
		must(t, r.writer.Close(t.Context()))
	})
}

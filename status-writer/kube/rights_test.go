package kube

import (
	"context"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// Each kind is listed, watched, written, and after a conflict read and written again;
// an Event happens twice.
func TestTheRoleOfTheChartIsWhatIsAskedFor(t *testing.T) {
	_, api := newMemoryAPI(t)
	r := newRig(t, api)
	var rights gwtest.Rights
	r.api = rights.Of(api)
	r.run(nil)
	for resource := range kinds() {
		key := events.Key{Resource: resource, Namespace: "default", Name: "o"}
		if resource == events.GatewayClasses {
			key.Namespace = ""
		}
		o := r.create(key, `{}`)
		r.known(key)
		accepted := []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "Yes."}}
		parents := []routing.ParentVerdict{{Ref: routing.ParentRef{Name: "gw"}, Gateway: "default/gw", Conditions: accepted}}
		v := routing.Verdict{Object: key, UID: string(o.UID), Generation: 1, Conditions: accepted, Parents: parents, Ancestors: parents}
		meanwhile := func() { _, err := r.patch(key, `{"status":{"theirs":1}}`, "status"); r.must(err) }
		wrote, err := r.statuses.Apply(context.Background(), key, func(current conditions.Object) conditions.Object {
			if meanwhile != nil {
				meanwhile()
				meanwhile = nil
			}
			return of(v)(current)
		})
		if err != nil || !wrote {
			t.Errorf("%s: written %v, %v", key, wrote, err)
		}
	}
	w := newRecorder(t, r.api)
	w.Record(refused("twice"))
	w.Record(refused("twice"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.Recorder.Run(ended)
	rights.AreThoseOf(t, "status-writer")
}

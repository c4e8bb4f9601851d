package projector_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// What cannot be listed is said on the GatewayClass, for as long as it is so, and
// changes nothing else.
func TestWhatCannotBeListedIsSaidOnTheClass(t *testing.T) {
	e, sequence := replay.New("story"), uint64(0)
	tell := func(kind events.Type, key events.Key, payload any) *routing.Snapshot {
		t.Helper()
		sequence++
		data, err := json.Marshal(payload)
		must(t, err)
		must(t, e.Fold(events.Event{Sequence: sequence, ID: fmt.Sprint(sequence), Type: kind, Key: key, Data: data, Time: storyTime(sequence)}))
		return e.Project()
	}
	synced := func(s *routing.Snapshot) string {
		t.Helper()
		if s == nil || len(s.Verdicts) != 1 {
			t.Fatalf("published %+v, want one verdict", s)
		}
		for _, c := range s.Verdicts[0].Conditions {
			if c.Type == routing.ConditionSynced {
				return c.Status + " " + c.Reason + ": " + c.Message
			}
		}
		return ""
	}
	settings := events.Settings{ControllerName: "rutter.dev/gateway-controller", Resources: []string{events.Services, events.Secrets}}
	tell(events.TypeEpoch, events.EpochKey(events.StreamEvents), events.EpochOpened{Epoch: 1, Settings: &settings})
	tell(events.ObjectApplied, events.Key{Resource: events.GatewayClasses, Name: "rutter"}, map[string]any{
		"metadata": map[string]any{"name": "rutter", "uid": "u"}, "spec": map[string]any{"controllerName": "rutter.dev/gateway-controller"},
	})
	done := func(resource string, problem *events.SyncProblem) *routing.Snapshot {
		t.Helper()
		return tell(events.TypeSyncDone, events.ProblemKey(resource), events.Sync{Resource: resource, Problem: problem})
	}
	forbidden := &events.SyncProblem{Reason: events.ReasonForbidden, Message: "Secrets are forbidden."}
	held := &events.SyncProblem{Reason: events.ReasonDeletionsHeld, Message: "Many slices are missing."}
	if s := done(events.Services, nil); s != nil {
		t.Errorf("before everything is listed %+v is published", s)
	}
	if got, want := synced(done(events.Secrets, forbidden)), "False Forbidden: Secrets are forbidden."; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	if got, want := synced(done(events.EndpointSlices, held)), "False DeletionsHeld: Many slices are missing. Secrets are forbidden."; got != want {
		t.Errorf("said %q, want %q", got, want)
	}

	// A checkpoint remembers it.
	var stored bytes.Buffer
	must(t, e.State().Write(&stored))
	restored := fold.NewState("")
	must(t, restored.Read(json.NewDecoder(&stored)))
	if got := restored.Unlisted(); len(got) != 2 || got[1].Problem != *forbidden {
		t.Errorf("a checkpoint remembers %v", got)
	}

	done(events.EndpointSlices, nil)
	if got := synced(done(events.Secrets, nil)); got != "" {
		t.Errorf("when all is well, and it is no cluster, it says %q", got)
	}

	// In a cluster it always says something, and what is not installed is no trouble.
	tell(events.ObjectApplied, events.Key{Resource: events.CustomResourceDefinitions, Name: "gateways.gateway.networking.k8s.io"}, map[string]any{})
	absent := &events.SyncProblem{Reason: events.ReasonNotInstalled, Message: "TCPRoutes are not installed."}
	if got, want := synced(done(events.TCPRoutes, absent)), "True Synced: All that routing depends on is read. TCPRoutes are not installed."; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

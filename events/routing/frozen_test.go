package routing_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

var update = flag.Bool("update", false, "write the samples that are missing; existing ones are history and are never rewritten")

// sample is a stored message as the files under testdata show it.
type sample struct {
	Subject string            `json:"subject"`
	Header  map[string]string `json:"header"`
	Data    string            `json:"data"`
}

// stored are versions of every shape that was ever written.
func stored() map[string]*routing.Snapshot {
	served := resource("shop/cart/80", "body")
	plain := routing.GatewayDelta{Gateway: "shop/gw", Changed: []routing.Resource{served}, Digest: served.Member(served.Digest)}
	provisioned := plain
	provisioned.Infrastructure = &routing.Infrastructure{
		Name: "gw-rutter", UID: "6f1c", Generation: 3, Class: "rutter", Ports: []routing.InfrastructurePort{{Port: 80, Protocol: "TCP"}, {Port: 443, Protocol: "TCP"}},
		Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"b": "2", "a": "1"}, Addresses: []string{"192.0.2.1"}, DualStack: true,
	}
	provisioned.Digest = provisioned.Digest.Add(provisioned.Infrastructure.Member())
	snapshot := func(d routing.GatewayDelta) *routing.Snapshot {
		return &routing.Snapshot{
			Version: version(7), FoldVersion: 1, Time: time.Date(2026, 11, 23, 4, 5, 6, 789_000_001, time.UTC), Causes: []uint64{6, 7},
			Gateways: []routing.GatewayDelta{d},
		}
	}
	policed := snapshot(plain)
	group, kind, namespace := "gateway.networking.k8s.io", "Gateway", "shop"
	policed.Verdicts = []routing.Verdict{{
		Object: events.Key{Resource: events.BackendTLSPolicies, Namespace: "shop", Name: "cart"}, UID: "7a2d", Generation: 2, Since: 6,
		Ancestors: []routing.ParentVerdict{{
			Ref: routing.ParentRef{Group: &group, Kind: &kind, Namespace: &namespace, Name: "gw"}, Gateway: "shop/gw",
			Conditions: []routing.Condition{{Type: "Accepted", Status: "False", Reason: "Conflicted", Message: "The older policy shop/all takes precedence."}},
		}},
	}}
	policed.VerdictDigest = policed.VerdictDigest.Add(policed.Verdicts[0].Digest())
	return map[string]*routing.Snapshot{
		"snapshot": snapshot(plain), "snapshot.provisioned": snapshot(provisioned), "snapshot.policy": policed, "snapshot.listenersets": listenerSets(),
	}
}

// listenerSets are a Gateway and a ListenerSet of it.
func listenerSets() *routing.Snapshot {
	attached := int32(1)
	accepted := []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "Yes."}}
	verdicts := []routing.Verdict{
		{Object: events.Key{Resource: events.Gateways, Namespace: "shop", Name: "gw"}, UID: "6f1c", Generation: 3, Since: 5, Conditions: accepted, AttachedListenerSets: &attached},
		{
			Object: events.Key{Resource: events.ListenerSets, Namespace: "team", Name: "set"}, UID: "7a2d", Generation: 1, Since: 6, Gateway: "shop/gw", Conditions: accepted,
			Listeners: []routing.ListenerVerdict{{Name: "web", SupportedKinds: []routing.GroupKind{{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}}, AttachedRoutes: 2, Conditions: accepted}},
		},
	}
	s := &routing.Snapshot{Version: version(7), FoldVersion: 1, Time: time.Date(2026, 11, 23, 4, 5, 6, 789_000_001, time.UTC), Causes: []uint64{6, 7}, Verdicts: verdicts}
	for _, v := range verdicts {
		s.VerdictDigest = s.VerdictDigest.Add(v.Digest())
	}
	return s
}

// Every stored form is written as it was, byte for byte, and read as what it meant:
// digests are compared for as long as there is a log.
func TestStoredVersionsAreFrozen(t *testing.T) {
	for name, want := range stored() {
		messages, err := routing.EncodeSnapshot("eu.west", want, 1<<20)
		if err != nil || len(messages) != 1 {
			t.Fatalf("%d messages, %v", len(messages), err)
		}
		got, err := json.MarshalIndent(sample{messages[0].Subject, messages[0].Header, string(messages[0].Data)}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "v1", name+".json")
		frozen, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && *update {
			frozen = append(got, '\n')
			err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, frozen, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(frozen) != string(got)+"\n" {
			t.Errorf("%s is stored as\n%s\nfrozen:\n%s", name, got, frozen)
		}
		var m sample
		if err := json.Unmarshal(frozen, &m); err != nil {
			t.Fatal(err)
		}
		read, err := assemble(events.Message{Subject: m.Subject, Header: m.Header, Data: []byte(m.Data)})
		if err != nil || len(read) != 1 || !reflect.DeepEqual(read[0], want) {
			t.Errorf("%s is read as %+v: %v", name, read, err)
			continue
		}
		if err := routing.NewState().Apply(read[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

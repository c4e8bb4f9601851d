package replay_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// refuse is the verdict on a resource that is published, as ingest records it.
func refuse(e *replay.Engine, gateway string, r routing.Resource, lastGood []byte) events.Event {
	data, _ := json.Marshal(events.Verdict{Gateway: gateway, Type: r.Type, Name: r.Name, Digest: r.Digest.String(), Reason: "no such thing", LastGood: lastGood})
	sequence := e.State().Version.Sequence + 1
	return events.Event{Sequence: sequence, ID: fmt.Sprint(sequence), Type: events.TypeVerdict, Key: r.Origin, Data: data, Time: time.Unix(1, 0)}
}

// scope is the published resource of one host of the world.
func scope(t *testing.T, s *routing.State, host string) routing.Resource {
	t.Helper()
	for name, r := range s.Gateways["default/gw"].Resources {
		if strings.HasSuffix(name.Name, "/"+host) {
			return r
		}
	}
	t.Fatalf("there is no scope for %s", host)
	return routing.Resource{}
}

func conditionOf(t *testing.T, s *routing.State, object events.Key, kind string) (routing.Condition, bool) {
	t.Helper()
	v := s.Verdicts[object]
	conditions := v.Conditions
	if len(v.Parents) > 0 {
		conditions = v.Parents[0].Conditions
	}
	for _, c := range conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return routing.Condition{}, false
}

func TestARefusedResourceFallsBackUntilItChanges(t *testing.T) {
	list := world(3, "scoped")
	e, published := replay.New("test"), routing.NewState()
	project(t, e, list, len(list), published)
	good := scope(t, published, "h1.example.com")
	neighbour := scope(t, published, "h2.example.com")
	object := events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r1"}
	change := func(path string) events.Event {
		ev := list[6]
		ev.Sequence = e.State().Version.Sequence + 1
		ev.Data = []byte(strings.Replace(string(list[6].Data), `"value":"/"`, fmt.Sprintf(`"value":%q`, path), 1))
		return ev
	}
	project(t, e, []events.Event{change("/bad")}, 1, published)
	bad := scope(t, published, "h1.example.com")
	if bad.Digest == good.Digest {
		t.Fatal("the change changed nothing")
	}

	project(t, e, []events.Event{refuse(e, "default/gw", bad, good.Body)}, 1, published)
	if got := scope(t, published, "h1.example.com"); got.Digest != good.Digest {
		t.Error("the refused resource is still published")
	}
	if c, ok := conditionOf(t, published, object, "PartiallyInvalid"); !ok || !strings.HasPrefix(c.Message, "Fall Back") || !strings.Contains(c.Message, "no such thing") {
		t.Errorf("the route has PartiallyInvalid %+v, want one that says Fall Back and Envoy's reason", c)
	}
	if got := scope(t, published, "h2.example.com"); got.Digest != neighbour.Digest {
		t.Error("the neighbour changed")
	}
	scratch := replay.FromState(e.State())
	scratch.Project()
	sameContent(t, 0, "with a verdict, incremental and from nothing", e.Content(), scratch.Content())

	project(t, e, []events.Event{change("/better")}, 1, published)
	if got := scope(t, published, "h1.example.com"); got.Digest == good.Digest || got.Digest == bad.Digest {
		t.Error("the corrected route is not published")
	}
	if c, ok := conditionOf(t, published, object, "PartiallyInvalid"); ok {
		t.Errorf("the corrected route still has %+v", c)
	}
}

func TestARefusedResourceThatIsNewIsLeftOut(t *testing.T) {
	list := world(2, "scoped")
	e, published := replay.New("test"), routing.NewState()
	project(t, e, list, len(list), published)
	bad := scope(t, published, "h0.example.com")
	project(t, e, []events.Event{refuse(e, "default/gw", bad, nil)}, 1, published)
	if _, there := published.Gateways["default/gw"].Resources[bad.ResourceName]; there {
		t.Error("the refused resource is still published")
	}
	scope(t, published, "h1.example.com")
	if c, ok := conditionOf(t, published, events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r0"}, "PartiallyInvalid"); !ok || !strings.HasPrefix(c.Message, "Dropped Rule") {
		t.Errorf("the route has PartiallyInvalid %+v, want one that says Dropped Rule", c)
	}
}

func TestARefusedListenerIsToldOnItsGateway(t *testing.T) {
	e, published := replay.New("test"), routing.NewState()
	list := world(1, "scoped")
	project(t, e, list, len(list), published)
	for name, r := range published.Gateways["default/gw"].Resources {
		if strings.HasSuffix(name.Type, ".Listener") {
			project(t, e, []events.Event{refuse(e, "default/gw", r, nil)}, 1, published)
		}
	}
	if c, ok := conditionOf(t, published, events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}, replay.Refused); !ok || c.Status != "True" {
		t.Errorf("the Gateway has %s %+v, want True", replay.Refused, c)
	}
}

func TestARefusedResourceOfAPinFallsBackToo(t *testing.T) {
	list := world(3, "scoped")
	e, published := replay.New("test"), routing.NewState()
	project(t, e, list, len(list), published)
	content := routing.Pinned(published, "default/gw")
	key := events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "gw"}
	head := events.PinnedRouting{Gateway: "default/gw", Version: content.Version.String(), Digest: content.Gateways[0].Digest.String()}
	parts, err := routing.EncodePinned(head, content, 1<<20)
	must(t, err)
	fold := func(kind events.Type, data []byte) {
		t.Helper()
		sequence := e.State().Version.Sequence + 1
		project(t, e, []events.Event{{Sequence: sequence, ID: fmt.Sprint(sequence), Type: kind, Key: key, Data: data, Time: time.Unix(1, 0)}}, 1, published)
	}
	fold(events.ObjectApplied, fmt.Appendf(nil, `{"metadata":{"name":"gw","namespace":"default"},"spec":{"gatewayRef":{"name":"gw"},"version":%q,"digest":%q}}`, head.Version, head.Digest))
	part, err := json.Marshal(parts[0])
	must(t, err)
	fold(events.TypePinned, part)

	bad, neighbour := scope(t, published, "h1.example.com"), scope(t, published, "h2.example.com")
	project(t, e, []events.Event{refuse(e, "default/gw", bad, neighbour.Body)}, 1, published)
	if got := scope(t, published, "h1.example.com"); got.Digest != neighbour.Digest {
		t.Error("the refused resource is still published")
	}
	scratch := replay.FromState(e.State())
	scratch.Project()
	sameContent(t, 0, "with a verdict, incremental and from nothing", e.Content(), scratch.Content())
}

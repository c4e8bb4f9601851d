package replay_test

import (
	"encoding/json"
	"fmt"
	"slices"
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
	if c, ok := conditionOf(t, published, events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}, routing.ConditionRefused); !ok || c.Status != "True" {
		t.Errorf("the Gateway has %s %+v, want True", routing.ConditionRefused, c)
	}
}

// A ListenerSet may be another tenant's: its certificate is no business of the Gateway's.
func TestARefusedCertificateIsToldToWhoseListenerHasIt(t *testing.T) {
	e, published := replay.New("test"), routing.NewState()
	list := world(1, "scoped")
	project(t, e, list, len(list), published)
	fold := func(key events.Key, object string) {
		t.Helper()
		sequence := e.State().Version.Sequence + 1
		object = fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"default","uid":%q,"generation":%d},%s}`, key.Name, key.String(), sequence, object)
		project(t, e, []events.Event{{Sequence: sequence, ID: fmt.Sprint(sequence), Type: events.ObjectApplied, Key: key, Data: []byte(object), Time: time.Unix(1, 0)}}, 1, published)
	}
	gateway := events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}
	set := events.Key{Resource: events.ListenerSets, Namespace: "default", Name: "set"}
	certificate := events.Key{Resource: events.Secrets, Namespace: "default", Name: "cert"}
	const own = `"spec":{"gatewayClassName":"rutter","allowedListeners":{"namespaces":{"from":"Same"}},"listeners":[{"name":"http","port":80,"protocol":"HTTP"}%s]}`
	const listener = `{"name":"tls","port":%d,"protocol":"HTTPS","hostname":"%s.test","tls":{"certificateRefs":[{"name":"cert"}]}}`
	fold(certificate, `"data":{"tls.crt":"Y2hhaW4="},"keyPair":{"fingerprint":"f","sealedKey":"c2VhbGVk"}`)
	fold(gateway, fmt.Sprintf(own, ""))
	fold(set, `"spec":{"parentRef":{"name":"gw"},"listeners":[`+fmt.Sprintf(listener, 443, "set")+`]}`)
	told := func(when string, want ...events.Key) {
		t.Helper()
		for _, key := range []events.Key{gateway, set} {
			if c, ok := conditionOf(t, published, key, routing.ConditionRefused); ok != slices.Contains(want, key) {
				t.Errorf("%s %s has %s %+v", when, key, routing.ConditionRefused, c)
			}
		}
		scratch := replay.FromState(e.State())
		scratch.Project()
		sameContent(t, 0, when+", incremental and from nothing", e.Content(), scratch.Content())
	}
	told("at first")
	for name, r := range published.Gateways["default/gw"].Resources {
		if name.Name == "default/cert" {
			project(t, e, []events.Event{refuse(e, "default/gw", r, []byte("good"))}, 1, published)
		}
	}
	told("the certificate of a ListenerSet", set)
	fold(gateway, fmt.Sprintf(own, ","+fmt.Sprintf(listener, 444, "own")))
	told("that of both", gateway, set)
	fold(set, `"spec":{"parentRef":{"name":"gw"},"listeners":[{"name":"plain","port":81,"protocol":"HTTP"}]}`)
	told("that of the Gateway", gateway)
	fold(certificate, `"data":{"tls.crt":"bWVuZGVk"},"keyPair":{"fingerprint":"g","sealedKey":"c2VhbGVk"}`)
	told("when it is mended")
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

package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// histories is how many random histories a property is tried on.
const histories = 45

// steps is how long a history is at least.
const steps = 80

// record is a random history in which Gateways are pinned and unpinned now and then, to
// what was published of them one step earlier or long ago.
func record(seed uint64) []events.Event {
	h, rng, classes := gwtest.NewHistory(seed), rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
	e, state := replay.New("test"), routing.NewState()
	var list []events.Event
	var past []*routing.Snapshot
	add := func(ev events.Event) {
		ev.Sequence = uint64(len(list) + 1)
		list = append(list, ev)
		if err := e.Fold(ev); err != nil {
			panic(err)
		}
		if snap := e.Project(); snap != nil {
			if err := state.Apply(snap); err != nil {
				panic(err)
			}
		}
	}
	for len(list) < steps {
		add(h.Next())
		if len(list) == 1 {
			for _, ev := range across(list[0]) {
				add(ev)
			}
		}
		if rng.IntN(100) < 15 {
			add(grant(rng, list[len(list)-1]))
		}
		if classes.IntN(100) < 6 {
			add(class(classes, list[len(list)-1]))
		}
		for _, name := range slices.Sorted(maps.Keys(state.Gateways)) {
			past = append(past, routing.Pinned(state, name))
		}
		if len(past) == 0 || rng.IntN(100) >= 12 {
			continue
		}
		from := past[len(past)-1]
		for range 4 { // mostly one with much in it
			if other := past[rng.IntN(len(past))]; len(other.Gateways[0].Changed) > len(from.Gateways[0].Changed) {
				from = other
			}
		}
		for _, ev := range pin(rng, list[len(list)-1], from) {
			add(ev)
		}
	}
	return list
}

// across is a Gateway with a route to another namespace.
func across(last events.Event) []events.Event {
	var out []events.Event
	for _, o := range []struct{ resource, namespace, name, spec string }{
		{events.GatewayClasses, "", "ours", `{"controllerName":"rutter.dev/gateway-controller"}`},
		{events.Gateways, "a", "fixed", `{"gatewayClassName":"ours","listeners":[{"name":"http","port":8080,"protocol":"HTTP"}]}`},
		{events.Services, "b", "fixed", `{"ports":[{"port":80}]}`},
		{events.HTTPRoutes, "a", "fixed", `{"parentRefs":[{"name":"fixed"}],"rules":[{"backendRefs":[{"name":"fixed","namespace":"b","port":80}]}]}`},
	} {
		out = append(out, events.Event{
			Type: events.ObjectApplied, Key: events.Key{Resource: o.resource, Namespace: o.namespace, Name: o.name}, ID: o.resource, Time: last.Time,
			Data: fmt.Appendf(nil, `{"metadata":{"name":%q,"namespace":%q,"uid":%q,"generation":1},"spec":%s}`, o.name, o.namespace, o.resource, o.spec),
		})
	}
	return out
}

// grant permits routes of a to use Services of b, or the other way round, or revokes that.
func grant(rng *rand.Rand, last events.Event) events.Event {
	from, to := "a", "b"
	if rng.IntN(2) == 0 {
		from, to = to, from
	}
	out := events.Event{
		Type: events.ObjectApplied, Key: events.Key{Resource: events.ReferenceGrants, Namespace: to, Name: "routes"}, ID: fmt.Sprint(rng.Uint64()), Time: last.Time,
		Data: fmt.Appendf(nil, `{"metadata":{"name":"routes","namespace":%q,"uid":"g"},"spec":{"from":[{"group":"gateway.networking.k8s.io","kind":"HTTPRoute","namespace":%q},
			{"group":"gateway.networking.k8s.io","kind":"UDPRoute","namespace":%[2]q},{"group":"gateway.networking.k8s.io","kind":"TLSRoute","namespace":%[2]q}],"to":[{"group":"","kind":"Service"}]}}`, to, from),
	}
	if rng.IntN(3) == 0 {
		out.Type, out.Data = events.ObjectDeleted, []byte(`{}`)
	}
	return out
}

// class is a GatewayClass with parameters, or those: usable, unusable or gone.
func class(rng *rand.Rand, last events.Event) events.Event {
	out := events.Event{Type: events.ObjectApplied, Key: events.Key{Resource: events.RutterClasses, Name: "fixed"}, ID: fmt.Sprint(rng.Uint64()), Time: last.Time}
	switch rng.IntN(6) {
	case 0, 1:
		out.Key = events.Key{Resource: events.GatewayClasses, Name: "ours"}
		out.Data = fmt.Appendf(nil, `{"metadata":{"name":"ours","uid":%q},"spec":{"controllerName":"rutter.dev/gateway-controller",
			"parametersRef":{"group":"rutter.dev","kind":"RutterClass","name":"fixed"}}}`, out.Key.String())
	case 2:
		out.Type, out.Data = events.ObjectDeleted, []byte(`{}`)
	case 3:
		out.Data = []byte(`{"metadata":{"name":"fixed"},"spec":{"tenancy":{"mode":"labelSelector"}}}`)
	default:
		out.Data = fmt.Appendf(nil, `{"metadata":{"name":"fixed"},"spec":{"proxy":{"replicas":%d,"resources":{"limits":{"cpu":"1000m"}}},"tenancy":{"mode":"namespace","allowedNamespaces":["a","b"]}}}`, 1+rng.IntN(3))
	}
	return out
}

// The histories would prove nothing of parameters that are gone if no Gateway went on with them.
func TestHistoriesHaveGatewaysThatOutliveTheirParameters(t *testing.T) {
	served, refused := 0, 0
	for seed := range uint64(histories) {
		e, published := replay.New("test"), routing.NewState()
		for _, ev := range record(seed) {
			project(t, e, []events.Event{ev}, 1, published)
			c := e.State().Class("ours")
			if c == nil || c.Problem == "" || c.Parameters == nil {
				continue
			}
			for _, o := range e.State().Objects(events.Gateways) {
				if v, ok := published.Verdicts[o.Key]; ok && c.Runs(o) && v.Conditions[0].Status == "True" {
					served++
				} else if ok && !c.Runs(o) && v.Conditions[0].Reason == "InvalidParameters" {
					refused++
				}
			}
		}
	}
	t.Logf("Gateways went on after %d events, and were refused after %d", served, refused)
	if served < 50 || refused < 10 {
		t.Error("that is too few")
	}
}

// pin pins or unpins a Gateway; what ingest records of it may be missing, or come later.
func pin(rng *rand.Rand, last events.Event, from *routing.Snapshot) []events.Event {
	gateway := from.Gateways[0].Gateway
	namespace, name, _ := strings.Cut(gateway, "/")
	key := events.Key{Resource: events.RoutingPins, Namespace: namespace, Name: fmt.Sprint("pin", rng.IntN(2))}
	event := func(kind events.Type, payload any) events.Event {
		data, _ := json.Marshal(payload)
		return events.Event{Type: kind, Key: key, ID: fmt.Sprint(rng.Uint64()), Time: last.Time, Data: data}
	}
	if rng.IntN(4) == 0 {
		return []events.Event{event(events.ObjectDeleted, map[string]any{})}
	}
	head := events.PinnedRouting{Gateway: gateway, Version: from.Version.String(), Digest: from.Gateways[0].Digest.String()}
	out := []events.Event{event(events.ObjectApplied, map[string]any{
		"metadata": map[string]any{"name": key.Name, "namespace": namespace, "uid": key.String(), "generation": rng.IntN(3), "creationTimestamp": last.Time},
		"spec":     map[string]any{"gatewayRef": map[string]any{"name": name}, "version": head.Version, "digest": head.Digest},
	})}
	switch rng.IntN(8) {
	case 0:
		return out
	case 1:
		head.Problem = &events.PinProblem{Reason: events.ReasonVersionNotKept, Message: "Gone."}
		return append(out, event(events.TypePinned, head))
	}
	parts, err := routing.EncodePinned(head, from, 18<<10)
	if err != nil {
		panic(err)
	}
	for _, part := range parts {
		out = append(out, event(events.TypePinned, part))
	}
	return out
}

// The histories would prove nothing of pins if none was ever in force.
func TestHistoriesHavePinsInForce(t *testing.T) {
	pinned, refused, served, denied := 0, 0, 0, 0
	for seed := range uint64(histories) {
		e, published := replay.New("test"), routing.NewState()
		for _, ev := range record(seed) {
			project(t, e, []events.Event{ev}, 1, published)
			for key, v := range published.Verdicts {
				if key.Resource == events.RoutingPins && strings.Contains(v.Conditions[0].Message, "no ReferenceGrant permits any more") {
					denied++
				}
				switch i := slices.IndexFunc(v.Conditions, func(c routing.Condition) bool { return c.Type == routing.ConditionPinned }); {
				case key.Resource != events.Gateways || i < 0:
				case v.Conditions[i].Status == "True":
					pinned++
					if g := published.Gateways[key.Namespace+"/"+key.Name]; g != nil && len(g.Resources) > 3 {
						served++
					}
				default:
					refused++
				}
			}
		}
	}
	t.Logf("Gateways were pinned after %d events, with routes after %d, some denied after %d; pins were refused after %d", pinned, served, denied, refused)
	if pinned < 100 || served < 50 || denied < 10 || refused < 50 {
		t.Error("that is too few")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// project folds events in batches of the given size and publishes after each.
func project(t *testing.T, e *replay.Engine, list []events.Event, batch int, onto *routing.State) {
	t.Helper()
	for len(list) > 0 {
		n := min(batch, len(list))
		must(t, e.Fold(list[:n]...))
		list = list[n:]
		if snap := e.Project(); snap != nil {
			must(t, onto.Apply(snap))
		}
		if problems := e.Problems(); len(problems) > 0 {
			t.Fatal(problems)
		}
	}
}

func sameContent(t *testing.T, seed uint64, what string, a, b replay.Content) {
	t.Helper()
	if differences := a.Differences(b); len(differences) > 0 {
		t.Fatalf("seed %d: %s: %v differ", seed, what, differences)
	}
}

func TestSnapshotsAddUpToTheStateFromNothing(t *testing.T) {
	for seed := range uint64(histories) {
		list := record(seed)
		e, published := replay.New("test"), routing.NewState()
		for i := range list {
			project(t, e, list[i:i+1], 1, published)
			scratch := replay.FromState(e.State())
			scratch.Project()
			sameContent(t, seed, "incremental and from nothing", e.Content(), scratch.Content())
			sameContent(t, seed, "engine and what was published", e.Content(), replay.ContentOf(published))
		}
	}
}

func TestBatchSizeChangesNoFinalState(t *testing.T) {
	for seed := range uint64(histories) {
		list := record(seed)
		var want replay.Content
		for i, batch := range []int{1, 7, 60} {
			e := replay.New("test")
			project(t, e, list, batch, routing.NewState())
			if i == 0 {
				want = e.Content()
			}
			sameContent(t, seed, "batches", want, e.Content())
		}
	}
}

func TestWholeLogEqualsCheckpointAndTail(t *testing.T) {
	for seed := range uint64(histories) {
		list := record(seed)
		whole, published := replay.New("test"), routing.NewState()
		project(t, whole, list, 1, published)
		for _, cut := range []int{1, 20, 45} {
			first, sofar := replay.New("test"), routing.NewState()
			project(t, first, list[:cut], 1, sofar)
			var data bytes.Buffer
			must(t, first.State().Write(&data))
			state := fold.NewState("")
			must(t, state.Read(json.NewDecoder(&data)))
			second := replay.FromState(state)
			second.Resume(sofar)
			project(t, second, list[cut:], 1, sofar)
			sameContent(t, seed, "whole and resumed", whole.Content(), second.Content())
			sameContent(t, seed, "published whole and resumed", replay.ContentOf(published), replay.ContentOf(sofar))
			if whole.State().Chain != second.State().Chain {
				t.Fatalf("seed %d: the chain over the events differs", seed)
			}
		}
	}
}

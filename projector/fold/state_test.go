package fold_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/fold"
)

var routeKey = events.Key{Resource: events.HTTPRoutes, Namespace: "shop", Name: "r"}

// story is a state with the next sequence.
type story struct {
	t *testing.T
	*fold.State
}

func newStory(t *testing.T) *story {
	t.Helper()
	return &story{t: t, State: fold.NewState("I")}
}

func (s *story) event(kind events.Type, key events.Key, data string) events.Event {
	next := s.Version.Sequence + 1
	return events.Event{
		ID: fmt.Sprint("event/", next), Type: kind, Cluster: "c", Key: key, Time: time.Unix(int64(next), 0).UTC(), Sequence: next, Data: []byte(data),
	}
}

func (s *story) fold(kind events.Type, key events.Key, data string) []events.Key {
	s.t.Helper()
	changed, err := s.Apply(s.event(kind, key, data))
	if err != nil {
		s.t.Fatal(err)
	}
	return changed
}

func (s *story) route(uid string, generation int, hostnames string) []events.Key {
	s.t.Helper()
	return s.fold(events.ObjectApplied, routeKey, routeJSON(uid, generation, hostnames))
}

func routeJSON(uid string, generation int, hostnames string) string {
	return fmt.Sprintf(`{"metadata":{"name":"r","namespace":"shop","uid":%q,"generation":%d,"creationTimestamp":"2026-11-23T12:00:00Z"},"spec":{"hostnames":%s}}`, uid, generation, hostnames)
}

func (s *story) epoch(epoch int, controller string, resources ...string) []events.Key {
	s.t.Helper()
	data, err := json.Marshal(events.EpochOpened{Epoch: uint64(epoch), Settings: &events.Settings{ControllerName: controller, Resources: resources}})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.fold(events.TypeEpoch, events.EpochKey(events.StreamEvents), string(data))
}

func (s *story) sync(kind events.Type, resource string) {
	s.t.Helper()
	s.fold(kind, events.SyncKey(resource), fmt.Sprintf(`{"resource":%q}`, resource))
}

func (s *story) hostnames() string {
	_, route := fold.Get[gatewayv1.HTTPRouteSpec](s.State, routeKey)
	if route == nil {
		return "none"
	}
	return fmt.Sprint(route.Hostnames)
}

func TestAnObjectThatCannotBeDecodedLeavesItsLastGoodVersionInForce(t *testing.T) {
	s := newStory(t)
	s.route("u", 1, `["a.example"]`)
	s.route("u", 2, `"not a list"`)
	if o := s.Object(routeKey); s.hostnames() != "[a.example]" || o.Problem == "" || o.Generation != 1 || o.Sequence != 2 {
		t.Errorf("in force is %s of generation %d, problem %q", s.hostnames(), o.Generation, o.Problem)
	}
	s.route("u", 3, `["b.example"]`)
	if o := s.Object(routeKey); s.hostnames() != "[b.example]" || o.Problem != "" || o.Generation != 3 {
		t.Errorf("in force is %s of generation %d, problem %q", s.hostnames(), o.Generation, o.Problem)
	}
}

func TestAnObjectThatNeverCouldBeDecodedIsThereWithoutAValue(t *testing.T) {
	s := newStory(t)
	s.route("u", 1, `"not a list"`)
	if o := s.Object(routeKey); o == nil || o.Problem == "" || o.Value != nil || s.hostnames() != "none" {
		t.Errorf("the object is %+v", o)
	}
	s.fold(events.ObjectDeleted, routeKey, `{"metadata":{"name":"r","namespace":"shop"}}`)
	if s.Object(routeKey) != nil || s.Count(events.HTTPRoutes) != 0 {
		t.Error("it is still there after its deletion")
	}
}

func TestNothingIsReadyBeforeEachResourceIsSyncedInThisEpoch(t *testing.T) {
	s := newStory(t)
	if s.Ready() {
		t.Error("ready before there is an epoch")
	}
	s.epoch(1, "c", events.Gateways, events.HTTPRoutes, events.EndpointSlices)
	s.sync(events.TypeSyncStart, events.Gateways)
	s.sync(events.TypeSyncStart, events.HTTPRoutes)
	s.sync(events.TypeSyncDone, events.Gateways)
	if s.Ready() {
		t.Error("ready while one resource is being listed")
	}
	s.sync(events.TypeSyncDone, events.HTTPRoutes)
	if !s.Ready() {
		t.Error("not ready with everything listed that routing depends on")
	}
	s.sync(events.TypeSyncStart, events.Gateways)
	if s.Ready() {
		t.Error("ready while one resource is listed again")
	}
	s.sync(events.TypeSyncDone, events.Gateways)
	s.epoch(2, "c", events.Gateways, events.HTTPRoutes, events.EndpointSlices)
	if s.Ready() {
		t.Error("ready in a new epoch in which nothing is listed")
	}
}

func TestOnlyChangedSettingsAreAChange(t *testing.T) {
	s := newStory(t)
	if changed := s.epoch(1, "one", events.Gateways); !slices.Equal(changed, []events.Key{events.EpochKey(events.StreamEvents)}) {
		t.Errorf("the first epoch changed %v", changed)
	}
	if changed := s.epoch(2, "one", events.Gateways); len(changed) > 0 {
		t.Errorf("an epoch with the same settings changed %v", changed)
	}
	if changed := s.epoch(3, "two", events.Gateways); len(changed) != 1 {
		t.Errorf("another controller name changed %v", changed)
	}
}

func TestSinceIsTheFirstRecordOfAGeneration(t *testing.T) {
	s := newStory(t)
	for _, step := range []struct {
		uid        string
		generation int
		since      uint64
	}{{"u", 1, 1}, {"u", 1, 1}, {"u", 2, 3}, {"u", 2, 3}, {"v", 2, 5}} {
		s.route(step.uid, step.generation, `["a.example"]`)
		if got := s.Object(routeKey).Since; got != step.since {
			t.Errorf("after event %d generation %d of %s is since %d, want %d", s.Version.Sequence, step.generation, step.uid, got, step.since)
		}
	}
	s.fold(events.ObjectBaseline, routeKey, routeJSON("v", 2, `["a.example"]`))
	if got := s.Object(routeKey).Since; got != 5 {
		t.Errorf("a baseline sets since to %d", got)
	}
}

func TestAnEventThatDoesNotFollowIsRefusedAndChangesNothing(t *testing.T) {
	s := newStory(t)
	s.route("u", 1, `["a.example"]`)
	before := stored(t, s.State)
	repeated := s.event(events.ObjectDeleted, routeKey, `{}`)
	repeated.Sequence = 1
	if _, err := s.Apply(repeated); !errors.Is(err, fold.ErrOrder) {
		t.Errorf("an old event: %v", err)
	}
	if _, err := s.Apply(s.event("dev.rutter.unheard.of", routeKey, `{}`)); !errors.Is(err, fold.ErrUnknownType) {
		t.Errorf("an unknown type: %v", err)
	}
	for _, kind := range []events.Type{events.TypeEpoch, events.TypeSyncDone, events.TypeVerdict} {
		if _, err := s.Apply(s.event(kind, routeKey, `[`)); err == nil || !strings.Contains(err.Error(), "event 2") {
			t.Errorf("an unreadable %s: %v", kind, err)
		}
	}
	if after := stored(t, s.State); after != before {
		t.Errorf("the state was\n%s\nand is\n%s", before, after)
	}
}

func TestAnAlteredEventChangesTheChainForEver(t *testing.T) {
	chain := func(hostname string) (first, last routing.Digest) {
		s := newStory(t)
		s.route("u", 1, hostname)
		first = s.Chain
		s.route("u", 2, `["same.example"]`)
		return first, s.Chain
	}
	first, last := chain(`["a.example"]`)
	again, lastAgain := chain(`["a.example"]`)
	other, lastOther := chain(`["b.example"]`)
	if first != again || last != lastAgain || first == other || last == lastOther {
		t.Errorf("chains %s %s, %s %s, %s %s", first.Short(), last.Short(), again.Short(), lastAgain.Short(), other.Short(), lastOther.Short())
	}
}

func TestARefusalIsKnownByTheExactResource(t *testing.T) {
	s := newStory(t)
	s.fold(events.TypeVerdict, events.Key{Resource: "verdict", Name: "v"}, `{"gateway":"n/gw","type":"T","name":"r","digest":"d1","reason":"bad"}`)
	if v, ok := s.Verdict(fold.VerdictKey{Gateway: "n/gw", Type: "T", Name: "r", Digest: "d1"}); !ok || v.Reason != "bad" {
		t.Errorf("the verdict is %+v", v)
	}
	if _, ok := s.Verdict(fold.VerdictKey{Gateway: "n/gw", Type: "T", Name: "r", Digest: "d2"}); ok {
		t.Error("it holds for another digest")
	}
}

func stored(t *testing.T, s *fold.State) string {
	t.Helper()
	var out strings.Builder
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func read(text string, s *fold.State) error { return s.Read(json.NewDecoder(strings.NewReader(text))) }

func TestACheckpointFoldsOnAsTheStateWould(t *testing.T) {
	for seed := range uint64(10) {
		h, state := gwtest.NewHistory(seed), fold.NewState("I")
		list := []events.Event{h.Epoch()}
		for range 60 {
			list = append(list, h.Next())
		}
		for i, e := range list {
			e.Sequence = uint64(i + 1)
			if _, err := state.Apply(e); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if i%13 != 0 {
				continue
			}
			text := stored(t, state)
			restored := fold.NewState("")
			restored.Keep(fold.Content(i % 2 * 2)) // with and without what is decoded
			if err := read(text, restored); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if again := stored(t, restored); again != text || restored.Ready() != state.Ready() {
				t.Fatalf("seed %d: the checkpoint at %d is\n%s\nand comes back as\n%s", seed, e.Sequence, text, again)
			}
			state = restored // and on from there
		}
		straight := fold.NewState("I")
		for i, e := range list {
			e.Sequence = uint64(i + 1)
			if _, err := straight.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if stored(t, straight) != stored(t, state) {
			t.Errorf("seed %d: folding with checkpoints in between comes to another state", seed)
		}
	}
}

func TestACheckpointKeepsTheLastGoodVersionToo(t *testing.T) {
	s := newStory(t)
	s.route("u", 1, `["a.example"]`)
	s.route("u", 2, `"not a list"`)
	restored := &story{t: t, State: fold.NewState("")}
	if err := read(stored(t, s.State), restored.State); err != nil {
		t.Fatal(err)
	}
	if o := restored.Object(routeKey); restored.hostnames() != "[a.example]" || o.Problem == "" || o.Generation != 1 {
		t.Errorf("in force is %s of generation %d, problem %q", restored.hostnames(), o.Generation, o.Problem)
	}
}

func TestACheckpointOfAnotherFormatIsRefused(t *testing.T) {
	if err := read(`{"format":99}`, fold.NewState("")); !errors.Is(err, routing.ErrFormat) {
		t.Errorf("read with %v", err)
	}
}

// The stored form is read by later builds: a change of these bytes is a change of
// the format.
func TestTheStoredFormIsAsItWas(t *testing.T) {
	s := newStory(t)
	s.epoch(1, "c", events.Gateways)
	s.sync(events.TypeSyncDone, events.Gateways)
	s.route("u", 1, `["a.example"]`)
	got := strings.Replace(stored(t, s.State), s.Chain.String(), "CHAIN", 1)
	want := `{"format":1,"version":{"incarnation":"I","sequence":3},"time":"1970-01-01T00:00:03Z","epoch":1,` +
		`"settings":{"controllerName":"c","resources":["gateways"],"listenAddress":"","routeLayout":""},"chain":"CHAIN","synced":["gateways"],` +
		`"objects":[{"key":{"resource":"httproutes","namespace":"shop","name":"r"},"sequence":3,"since":3,"data":` + routeJSON("u", 1, `["a.example"]`) + `}]}`
	if got != want {
		t.Errorf("the state is stored as\n%s\nwant\n%s", got, want)
	}
}

func TestTimePassesForASecretOnlyByEvents(t *testing.T) {
	s := newStory(t)
	secret := events.Key{Resource: events.Secrets, Namespace: "shop", Name: "tls"}
	moment := func(seconds int64) string {
		data, err := json.Marshal(events.TimeReached{Time: time.Unix(seconds, 0).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	check := func(what string, want int64) {
		t.Helper()
		if got := s.Reached(secret); got.Unix() != want {
			t.Errorf("%s time is %v, want %d", what, got, want)
		}
	}
	if changed := s.fold(events.TypeTime, secret, moment(500)); len(changed) != 0 {
		t.Errorf("time passes for what does not exist: %v", changed)
	}
	s.fold(events.ObjectApplied, secret, `{"metadata":{"name":"tls","namespace":"shop"}}`)
	check("when it is recorded", 2)
	s.route("u", 1, "[]")
	check("after an event of another object", 2)
	if changed := s.fold(events.TypeTime, secret, moment(1000)); !slices.Equal(changed, []events.Key{secret}) {
		t.Errorf("a moment changes %v", changed)
	}
	check("when a moment has come", 1000)
	if changed := s.fold(events.TypeTime, secret, moment(900)); len(changed) != 0 {
		t.Errorf("an earlier moment changes %v", changed)
	}
	var stored bytes.Buffer
	if err := s.Write(&stored); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(json.NewDecoder(&stored)); err != nil {
		t.Fatal(err)
	}
	check("after a checkpoint", 1000)
	s.fold(events.ObjectApplied, secret, `{"metadata":{"name":"tls","namespace":"shop"}}`)
	check("when it is recorded again", int64(s.Version.Sequence))
	s.fold(events.ObjectDeleted, secret, `{}`)
	if !s.Reached(secret).IsZero() {
		t.Error("time passes for what was deleted")
	}
}

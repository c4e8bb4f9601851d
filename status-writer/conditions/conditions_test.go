package conditions_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

const controller = "rutter.dev/gateway-controller"

func noon() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

func classKey() events.Key { return events.Key{Resource: events.GatewayClasses, Name: "rutter"} }
func gatewayKey() events.Key {
	return events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}
}
func routeKey() events.Key {
	return events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"}
}

func says(kind, status, reason string) routing.Condition {
	return routing.Condition{Type: kind, Status: status, Reason: reason, Message: reason + "."}
}

func gatewayVerdict(extra ...routing.Condition) routing.Verdict {
	return routing.Verdict{
		Object: gatewayKey(), UID: "u1", Generation: 2, Since: 20, Addresses: []string{"127.0.0.1"},
		Conditions: append([]routing.Condition{says("Accepted", "True", "Accepted")}, extra...),
		Listeners: []routing.ListenerVerdict{{
			Name: "http", AttachedRoutes: 1, Conditions: append([]routing.Condition{says("Accepted", "True", "Accepted")}, extra...),
		}},
	}
}

func routeVerdict(conditions ...routing.Condition) routing.Verdict {
	return routing.Verdict{
		Object: routeKey(), UID: "u2", Generation: 3, Since: 30,
		Parents: []routing.ParentVerdict{{Ref: routing.ParentRef{Name: "gw"}, Gateway: "default/gw", Conditions: conditions}},
	}
}

func of(v routing.Verdict, fleet conditions.Fleet, current conditions.Object, now time.Time) conditions.Result {
	return conditions.Of(conditions.Input{
		Verdict: v, Fleet: func(string) conditions.Fleet { return fleet }, ControllerName: controller, Current: current, Now: now,
	})
}

// text is conditions as a story tells them: type=status/reason@generation.
func text(list []metav1.Condition) string {
	var out []string
	for _, c := range list {
		out = append(out, fmt.Sprintf("%s=%s/%s@%d", c.Type, c.Status, c.Reason, c.ObservedGeneration))
	}
	return strings.Join(out, " ")
}

func TestGatewayIsProgrammedOnceEveryConnectedEnvoyRunsIt(t *testing.T) {
	current := gatewayStatus("u1", condition("Programmed", "True", 2))
	for name, c := range map[string]struct {
		verdict routing.Verdict
		fleet   conditions.Fleet
		current conditions.Object
		want    string
		waiting bool
	}{
		"no Envoy":                       {gatewayVerdict(), conditions.Fleet{}, conditions.Object{}, "Programmed=False/Pending@2", true},
		"an Envoy is behind":             {gatewayVerdict(), conditions.Fleet{Envoys: 2, Held: 19}, conditions.Object{}, "Programmed=False/Pending@2", true},
		"every Envoy has it":             {gatewayVerdict(), conditions.Fleet{Envoys: 2, Held: 20}, conditions.Object{}, "Programmed=True/Programmed@2", false},
		"a newcomer does not flip":       {gatewayVerdict(), conditions.Fleet{Envoys: 3}, current, "Programmed=True/Programmed@2", false},
		"nor that all are gone":          {gatewayVerdict(), conditions.Fleet{}, current, "Programmed=True/Programmed@2", false},
		"an older generation counts not": {gatewayVerdict(), conditions.Fleet{}, gatewayStatus("u1", condition("Programmed", "True", 1)), "Programmed=False/Pending@2", true},
		"nor another object of the name": {gatewayVerdict(), conditions.Fleet{}, gatewayStatus("u0", condition("Programmed", "True", 2)), "Programmed=False/Pending@2", true},
		"what cannot be is not awaited":  {gatewayVerdict(says("Programmed", "False", "AddressNotUsable")), conditions.Fleet{Envoys: 1, Held: 99}, current, "Programmed=False/AddressNotUsable@2", false},
		"Envoy refuses it":               {gatewayVerdict(), conditions.Fleet{Envoys: 1, Held: 99, Refused: map[events.Key]string{gatewayKey(): "bad"}}, current, "Programmed=False/Invalid@2", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := of(c.verdict, c.fleet, c.current, noon())
			if all := text(got.Object.Gateway.Conditions); !strings.Contains(all, "Accepted=True/Accepted@2") || !strings.Contains(all, c.want) {
				t.Errorf("got %s, want %s", all, c.want)
			}
			if waiting := len(got.Waiting) > 0; waiting != c.waiting {
				t.Errorf("waiting: %v", got.Waiting)
			}
			assertSettled(t, c.verdict, c.fleet, got.Object)
		})
	}
}

func TestListenerIsProgrammedLikeItsGateway(t *testing.T) {
	got := of(gatewayVerdict(), conditions.Fleet{Envoys: 1, Held: 20}, conditions.Object{}, noon()).Object.Gateway.Listeners[0]
	if text(got.Conditions) != "Accepted=True/Accepted@2 Programmed=True/Programmed@2" || got.AttachedRoutes != 1 || got.SupportedKinds == nil {
		t.Errorf("got %+v", got)
	}
}

func TestAnAddressSaysFromWhereItIsReachedWhereThereIsAField(t *testing.T) {
	v := gatewayVerdict()
	v.Addresses, v.Routabilities = []string{"192.0.2.1", "10.96.0.7", "lb.example"}, map[string]string{"192.0.2.1": "", "10.96.0.7": "Cluster"}
	var said []string
	for _, a := range of(v, conditions.Fleet{}, conditions.Object{}, noon()).Object.Gateway.Addresses {
		if a.Routability == nil {
			said = append(said, a.Value+" nothing")
		} else {
			said = append(said, a.Value+" "+string(*a.Routability))
		}
	}
	if got := strings.Join(said, ", "); got != "192.0.2.1 , 10.96.0.7 Cluster, lb.example nothing" {
		t.Error(got)
	}
}

func TestWhetherAddressesAreAssignedIsTakenBackWhenItIsNotKnown(t *testing.T) {
	v := gatewayVerdict()
	now := gatewayStatus("u1", condition("AddressesAssigned", "True", 2))
	if got := text(of(v, conditions.Fleet{}, now, noon()).Object.Gateway.Conditions); strings.Contains(got, "AddressesAssigned") {
		t.Error(got)
	}
}

func listenerSetVerdict(extra ...routing.Condition) routing.Verdict {
	v := gatewayVerdict(extra...)
	v.Object, v.Gateway, v.Addresses = events.Key{Resource: events.ListenerSets, Namespace: "team", Name: "set"}, "default/gw", nil
	return v
}

func TestListenerSetIsProgrammedByTheEnvoysOfItsGateway(t *testing.T) {
	for name, c := range map[string]struct {
		verdict routing.Verdict
		fleet   conditions.Fleet
		want    string
		waiting int
	}{
		"no Envoy":        {listenerSetVerdict(), conditions.Fleet{}, "Accepted=True/Accepted@2 Programmed=False/Pending@2", 1},
		"behind":          {listenerSetVerdict(), conditions.Fleet{Envoys: 1, Held: 19}, "Accepted=True/Accepted@2 Programmed=False/Pending@2", 1},
		"every Envoy":     {listenerSetVerdict(), conditions.Fleet{Envoys: 2, Held: 20}, "Accepted=True/Accepted@2 Programmed=True/Programmed@2", 0},
		"it is not to be": {listenerSetVerdict(says("Programmed", "False", "NotAllowed")), conditions.Fleet{Envoys: 1, Held: 99}, "Accepted=True/Accepted@2 Programmed=False/NotAllowed@2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			fleets := func(gateway string) conditions.Fleet {
				if gateway != "default/gw" {
					t.Errorf("asked for the Envoys of %s", gateway)
				}
				return c.fleet
			}
			got := conditions.Of(conditions.Input{Verdict: c.verdict, Fleet: fleets, ControllerName: controller, Now: noon()})
			set := got.Object.ListenerSet
			if text(set.Conditions) != c.want || text(set.Listeners[0].Conditions) != c.want || set.Listeners[0].AttachedRoutes != 1 {
				t.Errorf("got %+v, want %s", set, c.want)
			}
			if len(got.Waiting) != c.waiting || c.waiting > 0 && got.Waiting[0] != "default/gw" {
				t.Errorf("waits for %v", got.Waiting)
			}
			assertSettled(t, c.verdict, c.fleet, got.Object)
		})
	}
}

func TestGatewayCountsItsListenerSetsWhereItTakesAny(t *testing.T) {
	v := gatewayVerdict()
	v.AttachedListenerSets = new(int32)
	first := of(v, conditions.Fleet{}, conditions.Object{}, noon()).Object
	if n := first.Gateway.AttachedListenerSets; n == nil || *n != 0 {
		t.Errorf("got %v", n)
	}
	if again := of(gatewayVerdict(), conditions.Fleet{}, first, noon()).Object; again.Gateway.AttachedListenerSets != nil {
		t.Error("a count of what is no longer allowed stays")
	}
}

func TestRouteSaysPerParentWhetherEnvoysRunIt(t *testing.T) {
	ok := says("Accepted", "True", "Accepted")
	for name, c := range map[string]struct {
		verdict routing.Verdict
		fleet   conditions.Fleet
		want    string
		message string
	}{
		"held":         {routeVerdict(ok), conditions.Fleet{Envoys: 1, Held: 30}, "Accepted=True/Accepted@3 rutter.dev/Programmed=True/Programmed@3", "run this generation"},
		"behind":       {routeVerdict(ok), conditions.Fleet{Envoys: 1, Held: 29}, "Accepted=True/Accepted@3 rutter.dev/Programmed=False/Pending@3", "yet"},
		"refused":      {routeVerdict(ok), conditions.Fleet{Envoys: 1, Held: 30, Refused: map[events.Key]string{routeKey(): "bad regex"}}, "Accepted=True/Accepted@3 rutter.dev/Programmed=False/Refused@3", "bad regex"},
		"not accepted": {routeVerdict(says("Accepted", "False", "NoMatchingParent")), conditions.Fleet{Envoys: 1, Held: 30}, "Accepted=False/NoMatchingParent@3 rutter.dev/Programmed=False/NotAccepted@3", "not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			got := of(c.verdict, c.fleet, conditions.Object{}, noon())
			parent := got.Object.Route.Parents[0]
			if text(parent.Conditions) != c.want || string(parent.ControllerName) != controller || parent.ParentRef.Name != "gw" {
				t.Errorf("got %s, want %s", text(parent.Conditions), c.want)
			}
			if m := parent.Conditions[1].Message; !strings.Contains(m, c.message) {
				t.Errorf("message %q", m)
			}
			assertSettled(t, c.verdict, c.fleet, got.Object)
		})
	}
}

func TestWhatOthersWroteStaysAsAndWhereItIs(t *testing.T) {
	foreign := gatewayv1.RouteParentStatus{
		ParentRef: gatewayv1.ParentReference{Name: "other"}, ControllerName: "example.com/other",
		Conditions: []metav1.Condition{condition("Accepted", "False", 1)},
	}
	stale := gatewayv1.RouteParentStatus{ParentRef: gatewayv1.ParentReference{Name: "former"}, ControllerName: controller}
	ours := gatewayv1.RouteParentStatus{
		ParentRef: gatewayv1.ParentReference{Name: "gw"}, ControllerName: controller,
		Conditions: []metav1.Condition{condition("PartiallyInvalid", "True", 2), condition("example.com/Seen", "True", 1), condition("Accepted", "True", 2)},
	}
	current := conditions.Object{UID: "u2", Route: &gatewayv1.RouteStatus{Parents: []gatewayv1.RouteParentStatus{stale, ours, foreign}}}
	got := of(routeVerdict(says("Accepted", "True", "Accepted")), conditions.Fleet{}, current, noon()).Object.Route.Parents
	if len(got) != 2 || !reflect.DeepEqual(got[1], foreign) {
		t.Fatalf("got %+v", got)
	}
	if want := "example.com/Seen=True/Was@1 Accepted=True/Accepted@3 rutter.dev/Programmed=False/Pending@3"; text(got[0].Conditions) != want {
		t.Errorf("got %s", text(got[0].Conditions))
	}
	gone := conditions.Gone(current, controller)
	if len(gone.Route.Parents) != 1 || !reflect.DeepEqual(gone.Route.Parents[0], foreign) {
		t.Errorf("gone: %+v", gone.Route)
	}
}

func TestAPolicySaysPerAncestorWhatBecameOfIt(t *testing.T) {
	key := events.Key{Resource: events.BackendTLSPolicies, Namespace: "default", Name: "p"}
	v := routing.Verdict{Object: key, UID: "u3", Generation: 2, Since: 30}
	ancestor := func(name, controller string, list ...metav1.Condition) gatewayv1.PolicyAncestorStatus {
		return gatewayv1.PolicyAncestorStatus{
			AncestorRef: gatewayv1.ParentReference{Name: gatewayv1.ObjectName(name)}, ControllerName: gatewayv1.GatewayController(controller), Conditions: list,
		}
	}
	foreign := ancestor("theirs", "example.com/other", condition("Accepted", "False", 1))
	current := conditions.Object{UID: "u3", Policy: &gatewayv1.PolicyStatus{Ancestors: []gatewayv1.PolicyAncestorStatus{
		ancestor("former", controller), foreign, ancestor("gw0", controller, condition("example.com/Seen", "True", 1)),
	}}}
	for i := range 20 {
		name := fmt.Sprintf("gw%d", i)
		v.Ancestors = append(v.Ancestors, routing.ParentVerdict{
			Ref: routing.ParentRef{Name: name}, Gateway: "default/" + name, Conditions: []routing.Condition{says("Accepted", "True", "Accepted")},
		})
	}
	got := of(v, conditions.Fleet{}, current, noon())
	all := got.Object.Policy.Ancestors
	if len(all) != 16 || got.Omitted != 5 || !reflect.DeepEqual(all[0], foreign) || all[1].AncestorRef.Name != "gw0" {
		t.Fatalf("%d omitted, got %+v", got.Omitted, all)
	}
	if want := "example.com/Seen=True/Was@1 Accepted=True/Accepted@2"; text(all[1].Conditions) != want {
		t.Errorf("got %s", text(all[1].Conditions))
	}
	assertSettled(t, v, conditions.Fleet{}, got.Object)
	gone := conditions.Gone(got.Object, controller).Policy.Ancestors
	if len(gone) != 1 || !reflect.DeepEqual(gone[0], foreign) {
		t.Errorf("gone: %+v", gone)
	}
	later := conditions.Object{UID: "u3", Generation: 3, Policy: &gatewayv1.PolicyStatus{Ancestors: []gatewayv1.PolicyAncestorStatus{ancestor("gw0", controller, condition("Accepted", "True", 3))}}}
	if kept := of(v, conditions.Fleet{}, later, noon()).Object; !reflect.DeepEqual(kept, later) {
		t.Errorf("what is said of a later generation was changed: %+v", kept.Policy)
	}
}

func TestTransitionTimeMovesOnlyWithTheStatus(t *testing.T) {
	fleet := conditions.Fleet{Envoys: 1, Held: 20}
	first := of(gatewayVerdict(), conditions.Fleet{}, conditions.Object{}, noon()).Object
	later := noon().Add(time.Hour)
	second := of(gatewayVerdict(), fleet, first, later).Object.Gateway.Conditions
	if !second[0].LastTransitionTime.Time.Equal(noon()) || !second[1].LastTransitionTime.Time.Equal(later) {
		t.Errorf("got %v", second)
	}
	if text(first.Gateway.Conditions) == text(second) {
		t.Error("the status that was given was written to")
	}
}

func TestClassHasItsFeatures(t *testing.T) {
	v := routing.Verdict{Object: classKey(), UID: "u", Generation: 1, Conditions: []routing.Condition{says("Accepted", "True", "Accepted")}, Features: []string{"Gateway", "HTTPRoute"}}
	got := of(v, conditions.Fleet{}, conditions.Object{}, noon()).Object.Class
	if text(got.Conditions) != "Accepted=True/Accepted@1" || len(got.SupportedFeatures) != 2 || got.SupportedFeatures[1].Name != "HTTPRoute" {
		t.Errorf("got %+v", got)
	}
}

// assertSettled: the status of its own result is that result.
func assertSettled(t *testing.T, v routing.Verdict, fleet conditions.Fleet, o conditions.Object) {
	t.Helper()
	if again := of(v, fleet, o, noon().Add(time.Hour)).Object; !reflect.DeepEqual(again, o) {
		t.Errorf("not settled:\n%+v\n%+v", o, again)
	}
}

func gatewayStatus(uid string, list ...metav1.Condition) conditions.Object {
	return conditions.Object{UID: uid, Gateway: &gatewayv1.GatewayStatus{
		Conditions: list, Listeners: []gatewayv1.ListenerStatus{{Name: "http", Conditions: list}},
	}}
}

func condition(kind, status string, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: "Was", ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(noon())}
}

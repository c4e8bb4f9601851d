package conditions_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

func TestWhatTheAPIRefusesIsNotSaid(t *testing.T) {
	legal := regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`) // metav1.Condition
	for given, want := range map[string]string{
		"Accepted": "Accepted", "a:b,c_": "a:b,c_", "ends,": "ends", "9 lives": "lives", "": "Unknown", "¿?": "Unknown",
		strings.Repeat("x", 2000): strings.Repeat("x", 1024), strings.Repeat("x", 1023) + ",y": strings.Repeat("x", 1023),
	} {
		got := of(routeVerdict(says("Accepted", "True", given)), conditions.Fleet{}, conditions.Object{}, noon()).Object.Route.Parents[0].Conditions[0].Reason
		if got != want || !legal.MatchString(got) {
			t.Errorf("%.20q becomes %.20q, want %.20q", given, got, want)
		}
	}
	long := says("Accepted", "True", "Accepted")
	long.Message = strings.Repeat("aä", 20_000)
	got := of(routeVerdict(long), conditions.Fleet{}, conditions.Object{}, noon()).Object.Route.Parents[0].Conditions[0].Message
	if len(got) > 32768 || len(got) < 32760 || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid: %v", len(got), utf8.ValidString(got))
	}
}

func TestWhatOthersWroteIsKeptWhereThereIsNoRoomForUs(t *testing.T) {
	current := conditions.Object{UID: "u2", Generation: 3, Route: &gatewayv1.RouteStatus{}}
	for i := range 31 {
		current.Route.Parents = append(current.Route.Parents, gatewayv1.RouteParentStatus{
			ParentRef: gatewayv1.ParentReference{Name: "x"}, ControllerName: gatewayv1.GatewayController(fmt.Sprintf("example.com/%d", i)),
		})
	}
	v := routeVerdict(says("Accepted", "True", "Accepted"))
	v.Parents = append(v.Parents, routing.ParentVerdict{Ref: routing.ParentRef{Name: "second"}, Gateway: "default/second"})
	got := of(v, conditions.Fleet{}, current, noon())
	if parents := got.Object.Route.Parents; len(parents) != 32 || got.Omitted != 1 || parents[31].ParentRef.Name != "gw" ||
		!reflect.DeepEqual(parents[:31], current.Route.Parents) {
		t.Errorf("%d parents, %d omitted", len(parents), got.Omitted)
	}
	assertSettled(t, v, conditions.Fleet{}, got.Object)

	// The same within an entry, which may have 8 conditions.
	ours := gatewayv1.RouteParentStatus{ParentRef: gatewayv1.ParentReference{Name: "gw"}, ControllerName: controller}
	for i := range 7 {
		ours.Conditions = append(ours.Conditions, condition(fmt.Sprintf("example.com/%d", i), "True", 1))
	}
	current.Route = &gatewayv1.RouteStatus{Parents: []gatewayv1.RouteParentStatus{ours}}
	got = of(routeVerdict(says("Accepted", "True", "Accepted")), conditions.Fleet{}, current, noon())
	if list := got.Object.Route.Parents[0].Conditions; len(list) != 8 || got.Omitted != 1 || list[7].Type != "Accepted" || !reflect.DeepEqual(list[:7], ours.Conditions) {
		t.Errorf("%d omitted of %s", got.Omitted, text(list))
	}
}

func TestALaterGenerationIsNotTakenBack(t *testing.T) {
	at := func(generation, observed int64) conditions.Object {
		return conditions.Object{UID: "u2", Generation: generation, Route: &gatewayv1.RouteStatus{Parents: []gatewayv1.RouteParentStatus{{
			ParentRef: gatewayv1.ParentReference{Name: "another"}, ControllerName: controller,
			Conditions: []metav1.Condition{condition("Accepted", "True", observed)},
		}}}}
	}
	v := routeVerdict(says("Accepted", "True", "Accepted")) // of generation 3
	if got := of(v, conditions.Fleet{}, at(4, 4), noon()); !reflect.DeepEqual(got.Object, at(4, 4)) || len(got.Waiting) > 0 {
		t.Errorf("taken back: %+v", got.Object.Route)
	}
	for name, current := range map[string]conditions.Object{"an earlier one": at(3, 2), "one that does not exist": at(3, 9)} {
		if got := of(v, conditions.Fleet{}, current, noon()).Object.Route.Parents; len(got) != 1 || got[0].ParentRef.Name != "gw" {
			t.Errorf("%s counts: %+v", name, got)
		}
	}
	other := at(4, 4)
	other.Route.Parents[0].ControllerName = "example.com/other"
	if got := of(v, conditions.Fleet{}, other, noon()).Object.Route.Parents; len(got) != 2 {
		t.Errorf("another controller's generation counts: %+v", got)
	}
}

func TestARefusalIsOneOnlyWhenItBegins(t *testing.T) {
	served, pending := conditions.Fleet{Envoys: 1, Held: 30}, conditions.Fleet{}
	ok, bad := says("Accepted", "True", "Accepted"), says("Accepted", "False", "NoMatchingParent")
	part := []routing.Condition{ok, says("PartiallyInvalid", "True", "UnsupportedValue")}
	envoy := conditions.Fleet{Envoys: 1, Held: 30}
	envoy.Refused = map[events.Key]string{routeKey(): "bad regex"}
	status := func(fleet conditions.Fleet, list ...routing.Condition) conditions.Object {
		return of(routeVerdict(list...), fleet, conditions.Object{}, noon()).Object
	}
	none := conditions.Object{}
	for name, c := range map[string]struct {
		before, after conditions.Object
		want          string
	}{
		"at first":                   {none, status(pending, bad), "NoMatchingParent"},
		"after it was served":        {status(served, ok), status(pending, bad), "NoMatchingParent"},
		"a part":                     {status(served, ok), status(served, part...), "UnsupportedValue"},
		"Envoy":                      {status(served, ok), status(envoy, ok), "Refused"},
		"it goes on":                 {status(pending, bad), status(pending, says("Accepted", "False", "NotAllowedByListeners")), ""},
		"it is served":               {none, status(served, ok), ""},
		"it is mended":               {status(pending, bad), status(served, ok), ""},
		"Envoy does not have it yet": {none, status(pending, ok), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, r := range conditions.Refusals(c.before, c.after, controller) {
				got += r.Reason
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

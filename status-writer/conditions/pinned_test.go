package conditions_test

import (
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

func TestWhatAPinKeepsBackIsNotProgrammed(t *testing.T) {
	held := conditions.Fleet{Envoys: 1, Held: 100} // later than every generation
	route := routeVerdict(says("Accepted", "True", "Accepted"), says(routing.ConditionProgrammed, "False", "Pinned"))
	r := of(route, held, conditions.Object{}, noon())
	if got := text(r.Object.Route.Parents[0].Conditions); got != "Accepted=True/Accepted@3 rutter.dev/Programmed=False/Pinned@3" || len(r.Waiting) > 0 {
		t.Errorf("the route says %s, and %v are waited for", got, r.Waiting)
	}
	gateway := gatewayVerdict(says(routing.ConditionPinned, "True", "Pinned"))
	now := of(gateway, held, conditions.Object{}, noon()).Object
	after := of(gatewayVerdict(), held, now, noon()).Object
	if got := text(after.Gateway.Conditions); got != "Accepted=True/Accepted@2 Programmed=True/Programmed@2" {
		t.Errorf("without the pin the Gateway says %s", got)
	}
}

func TestARoutingPinSaysWhetherItIsInForce(t *testing.T) {
	v := routing.Verdict{Object: events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "gw"}, UID: "p", Generation: 1, Conditions: []routing.Condition{says("Accepted", "True", "Accepted")}}
	now := of(v, conditions.Fleet{}, conditions.Object{}, noon()).Object
	if got := text(now.Pin.Conditions); got != "Accepted=True/Accepted@1" {
		t.Errorf("it says %s", got)
	}
}

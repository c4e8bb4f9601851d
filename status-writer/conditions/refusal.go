package conditions

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Refusal is that a parent has begun to refuse a route, or a part of it.
type Refusal struct {
	Parent          gatewayv1.ParentReference
	Reason, Message string
}

// Refusals are what the statuses before and after tell of a route: the parents of
// ours that refuse it now and did not refuse it before. A parent that goes on
// refusing, be it for another reason, is not among them.
func Refusals(before, after Object, controllerName string) []Refusal {
	if after.Route == nil {
		return nil
	}
	var out []Refusal
	for _, p := range after.Route.Parents {
		if string(p.ControllerName) != controllerName {
			continue
		}
		now := refusing(p.Conditions)
		if now != nil && refusing(conditionsOf(before, p)) == nil {
			out = append(out, Refusal{Parent: p.ParentRef, Reason: now.Reason, Message: now.Message})
		}
	}
	return out
}

func conditionsOf(o Object, parent gatewayv1.RouteParentStatus) []metav1.Condition {
	if o.Route == nil {
		return nil
	}
	i := slices.IndexFunc(o.Route.Parents, func(p gatewayv1.RouteParentStatus) bool {
		return p.ControllerName == parent.ControllerName && reflect.DeepEqual(p.ParentRef, parent.ParentRef)
	})
	if i < 0 {
		return nil
	}
	return o.Route.Parents[i].Conditions
}

// refusing is the condition that says why something of a route is not served.
func refusing(conditions []metav1.Condition) *metav1.Condition {
	for i, c := range conditions {
		switch {
		case c.Type == string(gatewayv1.RouteConditionAccepted) && c.Status == metav1.ConditionFalse,
			c.Type == string(gatewayv1.RouteConditionPartiallyInvalid) && c.Status == metav1.ConditionTrue,
			c.Type == RouteProgrammed && c.Reason == ReasonRefused:
			return &conditions[i]
		}
	}
	return nil
}

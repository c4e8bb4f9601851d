package conditions

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// parentTypes are the conditions of a route's parent that are ours to write, and
// to take back.
func parentTypes() []string {
	return []string{
		string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteConditionResolvedRefs),
		string(gatewayv1.RouteConditionPartiallyInvalid), routing.ConditionShadowed, RouteProgrammed,
	}
}

func (r *result) route() *gatewayv1.RouteStatus {
	var present []gatewayv1.RouteParentStatus
	if r.Current.Route != nil {
		present = r.Current.Route.Parents
	}
	return &gatewayv1.RouteStatus{Parents: r.entries(present, r.Verdict.Parents, maxParents)}
}

// entries keeps those of other controllers in their places (moving them would make
// two controllers overwrite each other for ever), renews ours, and drops those of
// ours that are in the verdict no longer. New ones come last: where there is no
// room, they are what is left out.
func (r *result) entries(present []gatewayv1.RouteParentStatus, verdicts []routing.ParentVerdict, most int) []gatewayv1.RouteParentStatus {
	out := make([]gatewayv1.RouteParentStatus, 0, max(len(present), len(verdicts)))
	done := make([]bool, len(verdicts))
	for i := range present {
		if string(present[i].ControllerName) != r.ControllerName {
			out = append(out, present[i])
			continue
		}
		j := slices.IndexFunc(verdicts, func(p routing.ParentVerdict) bool {
			return reflect.DeepEqual(parentRef(p.Ref), present[i].ParentRef)
		})
		if j >= 0 && !done[j] {
			done[j] = true
			out = append(out, r.entry(verdicts[j], present[i].Conditions))
		}
	}
	for j, p := range verdicts {
		if !done[j] {
			out = append(out, r.entry(p, nil))
		}
	}
	return room(r, out, most)
}

func (r *result) entry(p routing.ParentVerdict, present []metav1.Condition) gatewayv1.RouteParentStatus {
	say, ours := p.Conditions, ancestorTypes()
	if !isPolicy(r.Verdict.Object.Resource) {
		say, ours = r.withRouteProgrammed(p, present), parentTypes()
	}
	return gatewayv1.RouteParentStatus{
		ParentRef:      parentRef(p.Ref),
		ControllerName: gatewayv1.GatewayController(r.ControllerName),
		Conditions:     r.merge(present, say, ours),
	}
}

func parentRef(ref routing.ParentRef) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Group: (*gatewayv1.Group)(ref.Group), Kind: (*gatewayv1.Kind)(ref.Kind), Namespace: (*gatewayv1.Namespace)(ref.Namespace),
		Name: gatewayv1.ObjectName(ref.Name), SectionName: (*gatewayv1.SectionName)(ref.SectionName), Port: ref.Port,
	}
}

package conditions

import (
	"reflect"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// parentTypes are the conditions of a route's parent that are ours to write, and
// to take back.
func parentTypes() []string {
	return []string{
		string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteConditionResolvedRefs),
		string(gatewayv1.RouteConditionPartiallyInvalid), RouteProgrammed,
	}
}

// route keeps the parents of other controllers in their places (moving them
// would make two controllers overwrite each other for ever), renews ours, and
// drops those that the route no longer names. New ones come last: where there is
// no room, they are what is left out.
func (r *result) route() *gatewayv1.RouteStatus {
	var present []gatewayv1.RouteParentStatus
	if r.Current.Route != nil {
		present = r.Current.Route.Parents
	}
	out := &gatewayv1.RouteStatus{Parents: make([]gatewayv1.RouteParentStatus, 0, max(len(present), len(r.Verdict.Parents)))}
	done := make([]bool, len(r.Verdict.Parents))
	for i := range present {
		if string(present[i].ControllerName) != r.ControllerName {
			out.Parents = append(out.Parents, present[i])
			continue
		}
		j := slices.IndexFunc(r.Verdict.Parents, func(p routing.ParentVerdict) bool {
			return reflect.DeepEqual(parentRef(p.Ref), present[i].ParentRef)
		})
		if j >= 0 && !done[j] {
			done[j] = true
			out.Parents = append(out.Parents, r.parent(r.Verdict.Parents[j], &present[i]))
		}
	}
	for j, p := range r.Verdict.Parents {
		if !done[j] {
			out.Parents = append(out.Parents, r.parent(p, &gatewayv1.RouteParentStatus{}))
		}
	}
	out.Parents = room(r, out.Parents, maxParents)
	return out
}

func (r *result) parent(p routing.ParentVerdict, present *gatewayv1.RouteParentStatus) gatewayv1.RouteParentStatus {
	return gatewayv1.RouteParentStatus{
		ParentRef:      parentRef(p.Ref),
		ControllerName: gatewayv1.GatewayController(r.ControllerName),
		Conditions:     r.merge(present.Conditions, r.withRouteProgrammed(p, present.Conditions), parentTypes()),
	}
}

func parentRef(ref routing.ParentRef) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Group: (*gatewayv1.Group)(ref.Group), Kind: (*gatewayv1.Kind)(ref.Kind), Namespace: (*gatewayv1.Namespace)(ref.Namespace),
		Name: gatewayv1.ObjectName(ref.Name), SectionName: (*gatewayv1.SectionName)(ref.SectionName), Port: ref.Port,
	}
}

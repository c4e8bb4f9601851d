package conditions

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Object is an object as far as its status goes. Of the statuses the one
// of its kind is set, or none where there is no status yet.
type Object struct {
	UID        string
	Generation int64

	Class       *gatewayv1.GatewayClassStatus
	Gateway     *gatewayv1.GatewayStatus
	ListenerSet *gatewayv1.ListenerSetStatus
	Route       *gatewayv1.RouteStatus
	Policy      *gatewayv1.PolicyStatus
	Pin         *v1alpha1.RoutingPinStatus
}

// Fleet is what is known of the Envoys of one Gateway.
type Fleet struct {
	// Envoys is how many are connected.
	Envoys int
	// Held is the newest sequence of the present incarnation that all of them hold;
	// 0 when one of them holds none.
	Held uint64
	// Refused are the objects on whose account an Envoy rejected something that it
	// was sent, and what it says.
	Refused map[events.Key]string
}

// Input is everything that a status depends on.
type Input struct {
	Verdict routing.Verdict
	// Fleet is that of a Gateway (namespace/name); the zero one where none is known.
	Fleet func(gateway string) Fleet
	// ControllerName is ours, by which the parents of a route are told apart.
	ControllerName string
	Current        Object
	Now            time.Time
}

// Result is what should be.
type Result struct {
	Object Object
	// Waiting are the Gateways whose Envoys have yet to run this generation.
	Waiting []string
	// Omitted counts the entries for which the API has no room beside what others wrote.
	Omitted int
}

// Of is the status that an object should have. It shares with the present one
// what stays the same, and writes to neither.
//
// A status that says of a later generation what the verdict does not know yet is
// left as it is, as the Gateway API demands of whoever writes conditions: the
// verdict on that generation is under way.
func Of(in Input) Result {
	r := &result{Input: in, Result: Result{Object: Object{UID: in.Verdict.UID, Generation: in.Verdict.Generation}}}
	if r.behind() {
		r.Object = in.Current
		return r.Result
	}
	switch resource := in.Verdict.Object.Resource; {
	case resource == events.GatewayClasses:
		r.Object.Class = r.class()
	case resource == events.Gateways:
		r.Object.Gateway = r.gateway()
	case resource == events.ListenerSets:
		r.Object.ListenerSet = r.listenerSet()
	case isPolicy(resource):
		r.Object.Policy = r.policy()
	case resource == events.RoutingPins:
		r.Object.Pin = r.pin()
	default:
		r.Object.Route = r.route()
	}
	return r.Result
}

func isPolicy(resource string) bool { return resource == events.BackendTLSPolicies }

// behind tells whether one of our conditions was observed of a generation that
// exists and is later than the verdict's.
func (r *result) behind() bool {
	later := func(list []metav1.Condition, ours []string) bool {
		return slices.ContainsFunc(list, func(c metav1.Condition) bool {
			return c.ObservedGeneration > r.Verdict.Generation && c.ObservedGeneration <= r.Current.Generation && slices.Contains(ours, c.Type)
		})
	}
	switch {
	case r.Current.UID != r.Verdict.UID:
		return false
	case r.Current.Class != nil:
		return later(r.Current.Class.Conditions, classTypes())
	case r.Current.Gateway != nil:
		return later(r.Current.Gateway.Conditions, gatewayTypes())
	case r.Current.ListenerSet != nil:
		return later(r.Current.ListenerSet.Conditions, listenerSetTypes())
	case r.Current.Pin != nil:
		return later(r.Current.Pin.Conditions, pinTypes())
	case r.Current.Route != nil:
		return slices.ContainsFunc(r.Current.Route.Parents, func(p gatewayv1.RouteParentStatus) bool {
			return string(p.ControllerName) == r.ControllerName && later(p.Conditions, parentTypes())
		})
	case r.Current.Policy != nil:
		return slices.ContainsFunc(r.Current.Policy.Ancestors, func(a gatewayv1.PolicyAncestorStatus) bool {
			return string(a.ControllerName) == r.ControllerName && later(a.Conditions, ancestorTypes())
		})
	}
	return false
}

// Gone is the status of a route or a policy that none of our Gateways is concerned
// with any more: without our entries.
func Gone(current Object, controllerName string) Object {
	if route := current.Route; route != nil {
		current.Route = &gatewayv1.RouteStatus{Parents: without(route.Parents, func(p gatewayv1.RouteParentStatus) bool {
			return string(p.ControllerName) == controllerName
		})}
	}
	if policy := current.Policy; policy != nil {
		current.Policy = &gatewayv1.PolicyStatus{Ancestors: without(policy.Ancestors, func(a gatewayv1.PolicyAncestorStatus) bool {
			return string(a.ControllerName) == controllerName
		})}
	}
	return current
}

// without is a list of those that are not ours; empty, but never nil.
func without[E any](list []E, ours func(E) bool) []E {
	return slices.DeleteFunc(append([]E{}, list...), ours)
}

// result is one computation.
type result struct {
	Input
	Result
}

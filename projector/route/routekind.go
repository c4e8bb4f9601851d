package route

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// routeSpec is a route of any kind, as far as its attachment goes.
type routeSpec struct {
	object    *fold.Object
	kind      string
	parents   []gatewayv1.ParentReference
	hostnames []gatewayv1.Hostname
	resolve   func(*reader) *ruleSet
}

// Attaches tells whether objects of a resource are routes, which attach to listeners.
func Attaches(resource string) bool {
	return resource == events.HTTPRoutes || resource == events.GRPCRoutes
}

// routeOf reads a route; nil where there is none that was ever good.
func routeOf(r *reader, key events.Key) *routeSpec {
	if key.Resource == events.GRPCRoutes {
		o, spec := get[gatewayv1.GRPCRoute](r, key)
		if spec == nil {
			return nil
		}
		return &routeSpec{o, "GRPCRoute", spec.Spec.ParentRefs, spec.Spec.Hostnames, func(r *reader) *ruleSet {
			return resolveGRPCRules(r, o, spec)
		}}
	}
	o, spec := get[gatewayv1.HTTPRoute](r, key)
	if spec == nil {
		return nil
	}
	return &routeSpec{o, "HTTPRoute", spec.Spec.ParentRefs, spec.Spec.Hostnames, func(r *reader) *ruleSet {
		return resolveRules(r, o, spec)
	}}
}

package route

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// The kinds of routes.
const (
	httpRoute = "HTTPRoute"
	grpcRoute = "GRPCRoute"
	tlsRoute  = "TLSRoute"
	tcpRoute  = "TCPRoute"
	udpRoute  = "UDPRoute"
)

// routeKinds are the resources whose objects attach to listeners.
var routeKinds = map[string]string{
	events.HTTPRoutes: httpRoute, events.GRPCRoutes: grpcRoute, events.TLSRoutes: tlsRoute, events.TCPRoutes: tcpRoute, events.UDPRoutes: udpRoute,
}

// Attaches tells whether objects of a resource are routes, which attach to listeners.
func Attaches(resource string) bool { return routeKinds[resource] != "" }

// routeSpec is a route of any kind, as far as its attachment goes.
type routeSpec struct {
	object    *fold.Object
	kind      string
	parents   []gatewayv1.ParentReference
	hostnames []gatewayv1.Hostname
	resolve   func(*reader) *ruleSet
}

// routeOf reads a route; nil where there is none that was ever good.
func routeOf(r *reader, key events.Key) *routeSpec {
	switch key.Resource {
	case events.HTTPRoutes:
		return specOf(r, key, func(s *routeSpec, o *gatewayv1.HTTPRouteSpec) {
			s.parents, s.hostnames = o.ParentRefs, o.Hostnames
			s.resolve = func(r *reader) *ruleSet { return resolveRules(r, s.object, o) }
		})
	case events.GRPCRoutes:
		return specOf(r, key, func(s *routeSpec, o *gatewayv1.GRPCRouteSpec) {
			s.parents, s.hostnames = o.ParentRefs, o.Hostnames
			s.resolve = func(r *reader) *ruleSet { return resolveGRPCRules(r, s.object, o) }
		})
	case events.TLSRoutes:
		return specOf(r, key, func(s *routeSpec, o *gatewayv1.TLSRouteSpec) {
			s.parents, s.hostnames = o.ParentRefs, o.Hostnames
			s.resolve = func(r *reader) *ruleSet {
				return resolveStream(r, s, o.Rules, func(rule gatewayv1.TLSRouteRule) []gatewayv1.BackendRef { return rule.BackendRefs })
			}
		})
	case events.TCPRoutes:
		return specOf(r, key, func(s *routeSpec, o *gatewayv1.TCPRouteSpec) {
			s.parents = o.ParentRefs
			s.resolve = func(r *reader) *ruleSet {
				return resolveStream(r, s, o.Rules, func(rule gatewayv1.TCPRouteRule) []gatewayv1.BackendRef { return rule.BackendRefs })
			}
		})
	case events.UDPRoutes:
		return specOf(r, key, func(s *routeSpec, o *gatewayv1.UDPRouteSpec) {
			s.parents = o.ParentRefs
			s.resolve = func(r *reader) *ruleSet {
				return resolveStream(r, s, o.Rules, func(rule gatewayv1.UDPRouteRule) []gatewayv1.BackendRef { return rule.BackendRefs })
			}
		})
	}
	return nil
}

func specOf[T any](r *reader, key events.Key, fill func(*routeSpec, *T)) *routeSpec {
	o, value := get[T](r, key)
	if value == nil {
		return nil
	}
	s := &routeSpec{object: o, kind: routeKinds[key.Resource]}
	fill(s, value)
	return s
}

package route

import (
	"cmp"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// resolveStream resolves the rules of a TLSRoute, TCPRoute or UDPRoute, which have
// backends and nothing else. They become rules of the same form as those of
// HTTPRoutes, with a match that everything meets.
func resolveStream[R any](r *reader, route *routeSpec, rules []R, backends func(R) []gatewayv1.BackendRef) *ruleSet {
	s := &ruleSet{kind: route.kind, stale: route.object.Problem}
	for i := range rules {
		spec := &gatewayv1.HTTPRouteRule{}
		for _, ref := range backends(rules[i]) {
			spec.BackendRefs = append(spec.BackendRefs, gatewayv1.HTTPBackendRef{BackendRef: ref})
		}
		rule, err := s.resolveRule(r, route.object.Key, i, "/", spec)
		s.add(i, rule, []Match{{Path: PathMatch{Prefix, "/"}}}, err)
	}
	return s
}

// transport is what the listeners of a port must have in common: those of one
// transport can share it, as far as their hostnames tell them apart.
type transport string

const (
	plainHTTP transport = "HTTP"
	overTLS   transport = "TLS" // HTTPS and TLS: the SNI tells them apart
	plainTCP  transport = "TCP"
	plainUDP  transport = "UDP"
)

// transportOf is "" for a protocol that is not known.
func transportOf(protocol gatewayv1.ProtocolType) transport {
	return map[gatewayv1.ProtocolType]transport{
		gatewayv1.HTTPProtocolType: plainHTTP, gatewayv1.HTTPSProtocolType: overTLS, gatewayv1.TLSProtocolType: overTLS,
		gatewayv1.TCPProtocolType: plainTCP, gatewayv1.UDPProtocolType: plainUDP,
	}[protocol]
}

// transport is that of the listeners which a chain serves.
func (c *Chain) transport() transport {
	switch {
	case c.TLS || c.Passthrough:
		return overTLS
	default:
		return cmp.Or(map[Stream]transport{StreamTCP: plainTCP, StreamUDP: plainUDP}[c.Stream], plainHTTP)
	}
}

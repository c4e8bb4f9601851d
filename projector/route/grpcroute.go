package route

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/projector/fold"
)

// resolveGRPCRules resolves a GRPCRoute into rules of the same form as those of
// HTTPRoutes: a gRPC request is a POST to /<service>/<method>.
func resolveGRPCRules(r *reader, o *fold.Object, route *gatewayv1.GRPCRouteSpec) *ruleSet {
	s := &ruleSet{kind: grpcRoute, stale: o.Problem}
	for i := range route.Rules {
		spec := &route.Rules[i]
		matches, err := newGRPCMatches(spec.Matches)
		if err != nil {
			s.add(i, nil, nil, err)
			continue
		}
		rule, err := s.resolveRule(r, o.Key, i, "/", httpRule(spec))
		s.add(i, rule, matches, err)
	}
	return s
}

// httpRule is all of a GRPCRouteRule but its matches: their filters and backends
// are a subset of those of an HTTPRouteRule.
func httpRule(spec *gatewayv1.GRPCRouteRule) *gatewayv1.HTTPRouteRule {
	out := &gatewayv1.HTTPRouteRule{
		Name: spec.Name, Filters: httpFilters(spec.Filters), SessionPersistence: spec.SessionPersistence,
	}
	for _, b := range spec.BackendRefs {
		out.BackendRefs = append(out.BackendRefs, gatewayv1.HTTPBackendRef{BackendRef: b.BackendRef, Filters: httpFilters(b.Filters)})
	}
	return out
}

func httpFilters(specs []gatewayv1.GRPCRouteFilter) []gatewayv1.HTTPRouteFilter {
	var out []gatewayv1.HTTPRouteFilter
	for _, f := range specs {
		out = append(out, gatewayv1.HTTPRouteFilter{
			Type: gatewayv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier,
			ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef,
		})
	}
	return out
}

// newGRPCMatches resolves the matches of a rule; none means every gRPC request.
func newGRPCMatches(specs []gatewayv1.GRPCRouteMatch) ([]Match, error) {
	if len(specs) == 0 {
		return []Match{{Path: PathMatch{Prefix, "/"}, GRPC: &GRPCMatch{}}}, nil
	}
	matches := make([]Match, 0, len(specs))
	for i := range specs {
		m, err := newGRPCMatch(&specs[i])
		if err != nil {
			return nil, fmt.Errorf("matches[%d].%w", i, err)
		}
		matches = append(matches, m)
	}
	return matches, nil
}

func newGRPCMatch(spec *gatewayv1.GRPCRouteMatch) (Match, error) {
	m := Match{Path: PathMatch{Prefix, "/"}, GRPC: &GRPCMatch{}}
	if spec.Method != nil {
		if err := m.setMethod(spec.Method); err != nil {
			return Match{}, fmt.Errorf("method.%w", err)
		}
	}
	var err error
	m.Headers, err = newHeaderMatches(spec.Headers, func(h gatewayv1.GRPCHeaderMatch) (string, *string, string) {
		return string(h.Name), (*string)(h.Type), h.Value
	})
	return m, err
}

// anyPart is a service or a method in a regular expression.
const anyPart = "[^/]+"

// setMethod says in terms of the path which methods are meant (GRPCMethodMatch).
func (m *Match) setMethod(spec *gatewayv1.GRPCMethodMatch) error {
	service, method := or(spec.Service, ""), or(spec.Method, "")
	m.GRPC.Service, m.GRPC.Method = service, method
	kind := gatewayv1.GRPCMethodMatchExact
	if spec.Type != nil {
		kind = *spec.Type
	}
	switch {
	case kind == gatewayv1.GRPCMethodMatchRegularExpression:
		for _, part := range []struct{ field, pattern string }{{"service", service}, {"method", method}} {
			if part.pattern == "" {
				continue // any
			}
			if err := checkRegex(part.field, part.pattern); err != nil {
				return err
			}
		}
		m.Path = PathMatch{Regex, "/" + group(service) + "/" + group(method)}
	case kind != gatewayv1.GRPCMethodMatchExact:
		return fmt.Errorf("type: %q is not supported", kind)
	case service != "" && method != "":
		m.Path = PathMatch{Exact, "/" + service + "/" + method}
	case service != "":
		m.Path = PathMatch{Prefix, "/" + service}
	case method != "":
		m.Path = PathMatch{Regex, "/" + anyPart + "/" + method}
	}
	return nil
}

func group(pattern string) string {
	if pattern == "" {
		return anyPart
	}
	return "(?:" + pattern + ")"
}

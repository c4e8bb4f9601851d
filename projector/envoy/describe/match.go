package describe

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// match is a condition on a request in words.
func match(m *routev3.RouteMatch) string {
	parts := []string{path(m)}
	if m.GetGrpc() != nil {
		parts = []string{"gRPC " + path(m)}
	}
	for _, h := range m.GetHeaders() {
		if h.GetName() == ":method" {
			parts = append(parts, "method "+h.GetStringMatch().GetExact())
			continue
		}
		parts = append(parts, "header "+h.GetName()+value(h.GetStringMatch()))
	}
	for _, q := range m.GetQueryParameters() {
		parts = append(parts, "query "+q.GetName()+value(q.GetStringMatch()))
	}
	return strings.Join(parts, " ")
}

func path(m *routev3.RouteMatch) string {
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Path:
		return "exact " + p.Path
	case *routev3.RouteMatch_SafeRegex:
		return "regex " + p.SafeRegex.GetRegex()
	case *routev3.RouteMatch_PathSeparatedPrefix:
		return "prefix " + p.PathSeparatedPrefix
	default:
		return "prefix " + m.GetPrefix()
	}
}

// value is =text for an exact value and ~expression for one that has to match.
func value(m *matcherv3.StringMatcher) string {
	if expression := m.GetSafeRegex(); expression != nil {
		return "~" + expression.GetRegex()
	}
	return "=" + m.GetExact()
}

package envoy

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// match is a condition on a request (HTTPRouteMatch, GRPCRouteMatch). Paths are compared without
// the query.
func match(m route.Match) *routev3.RouteMatch {
	out := &routev3.RouteMatch{}
	switch m.Path.Kind {
	case route.Exact:
		out.PathSpecifier = &routev3.RouteMatch_Path{Path: m.Path.Value}
	case route.Regex:
		out.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(m.Path.Value)}
	default:
		if prefix := pathPrefix(m.Path.Value); prefix == "" {
			out.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
		} else {
			out.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}
		}
	}
	if m.Method != "" {
		out.Headers = append(out.Headers, header(":method", exact(m.Method)))
	}
	for _, h := range firstOfEachName(m.Headers) {
		out.Headers = append(out.Headers, header(h.Name, value(h)))
	}
	for _, q := range firstOfEachName(m.Query) {
		out.QueryParameters = append(out.QueryParameters, &routev3.QueryParameterMatcher{
			Name:                         q.Name,
			QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_StringMatch{StringMatch: value(q)},
		})
	}
	if m.GRPC != nil {
		out.Grpc = &routev3.RouteMatch_GrpcRouteMatchOptions{}
	}
	return out
}

// pathPrefix is a prefix without its trailing slash, which is ignored
// (PathMatchPathPrefix); "/" becomes "".
func pathPrefix(value string) string { return strings.TrimRight(value, "/") }

// firstOfEachName drops what the API asks to ignore: all conditions on a name
// but the first (HTTPRouteMatch.headers, .queryParams).
func firstOfEachName(conditions []route.ValueMatch) []route.ValueMatch {
	seen := map[string]bool{}
	var out []route.ValueMatch
	for _, c := range conditions {
		if !seen[c.Name] {
			seen[c.Name] = true
			out = append(out, c)
		}
	}
	return out
}

func value(v route.ValueMatch) *matcherv3.StringMatcher {
	if v.Kind == route.Regex {
		return matching(v.Value)
	}
	return exact(v.Value)
}

func exact(s string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: s}}
}

// matching compares the whole value with an RE2 expression.
func matching(expression string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(expression)}}
}

func regex(expression string) *matcherv3.RegexMatcher {
	return &matcherv3.RegexMatcher{Regex: expression}
}

func header(name string, m *matcherv3.StringMatcher) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: m},
	}
}

func headerPresent(name string, present bool) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: present},
	}
}

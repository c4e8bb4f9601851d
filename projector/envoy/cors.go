package envoy

import (
	"regexp"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/projector/route"
)

// defaultMaxAge is Access-Control-Max-Age where the policy has none, in seconds
// (HTTPCORSFilter.maxAge).
const defaultMaxAge = 5

// corsRoutes apply a policy (HTTPCORSFilter) to the routes of an entry. Envoy's
// filter always echoes Origin and, for a "*", what the client asked for, which is
// what credentials demand and otherwise allowed. Two preflights need a route of
// their own: one from an origin that is not allowed gets 403 here (the filter
// would pass it to the backend), and one that asks for no headers gets no
// Access-Control-Allow-Headers where the policy says "*" (the filter would send
// an empty one).
//
// The filter leaves redirects alone: a rule with both redirects, preflights too,
// without CORS headers.
func corsRoutes(routes []*routev3.Route, method string, c *route.CORS) ([]*routev3.Route, error) {
	origins := originPattern(c.AllowOrigins)
	policy, err := corsPolicy(c, origins)
	if err != nil {
		return nil, err
	}
	preflight := []*routev3.HeaderMatcher{
		header(":method", exact("OPTIONS")),
		headerPresent("origin", true),
		headerPresent("access-control-request-method", true),
	}
	anyHeaders := len(c.AllowHeaders) == 1 && c.AllowHeaders[0] == "*"
	var out []*routev3.Route
	for _, r := range routes {
		if method == "" || method == "OPTIONS" {
			if origins != "" {
				refused := variant(r, preflight...)
				other := header("origin", matching(origins))
				other.InvertMatch = true
				refused.Match.Headers = append(refused.Match.Headers, other)
				refused.Action = answer(403)
				out = append(out, refused)
			}
			if anyHeaders && r.GetRoute() != nil {
				silent := *c
				silent.AllowHeaders = nil
				config, err := corsPolicy(&silent, origins)
				if err != nil {
					return nil, err
				}
				asking := variant(r, append(preflight, headerPresent("access-control-request-headers", false))...)
				asking.TypedPerFilterConfig = map[string]*anypb.Any{corsFilter: config}
				out = append(out, asking)
			}
		}
		r.TypedPerFilterConfig = map[string]*anypb.Any{corsFilter: policy}
		out = append(out, r)
	}
	return out, nil
}

// corsPolicy is the filter's configuration; origins as [originPattern] gives them.
func corsPolicy(c *route.CORS, origins string) (*anypb.Any, error) {
	allowed := exact("*")
	if origins != "" {
		allowed = matching(origins)
	}
	maxAge := c.MaxAge
	if maxAge == 0 {
		maxAge = defaultMaxAge
	}
	policy := &corsv3.CorsPolicy{
		AllowOriginStringMatch:       []*matcherv3.StringMatcher{allowed},
		AllowMethods:                 strings.Join(c.AllowMethods, ", "),
		AllowHeaders:                 strings.Join(c.AllowHeaders, ", "),
		MaxAge:                       strconv.Itoa(int(maxAge)),
		ForwardNotMatchingPreflights: wrapperspb.Bool(false),
	}
	var expose []string
	for _, name := range c.ExposeHeaders {
		// Together with credentials "*" would be the name of a header (HTTPCORSFilter.exposeHeaders).
		if name != "*" || !c.AllowCredentials {
			expose = append(expose, name)
		}
	}
	policy.ExposeHeaders = strings.Join(expose, ", ")
	if c.AllowCredentials {
		policy.AllowCredentials = wrapperspb.Bool(true)
	}
	return anyOf(policy)
}

// originPattern is an expression for the whole of an allowed Origin; "" if all
// are allowed. It never matches the text "*", which Envoy's filter would take
// for a policy that allows all.
func originPattern(origins []string) string {
	patterns := make([]string, 0, len(origins))
	for _, o := range origins {
		if o == "*" {
			return ""
		}
		patterns = append(patterns, originExpression(o))
	}
	if len(patterns) == 0 {
		return "^$" // no origin is allowed, and none is empty
	}
	return strings.Join(patterns, "|")
}

// originExpression is one origin (HTTPCORSFilter.allowOrigins): a "*" in the host
// stands for one or more characters, dots included, and the well-known port of
// the scheme need not be named on either side.
func originExpression(origin string) string {
	scheme, host, found := strings.Cut(strings.ToLower(origin), "://")
	if !found {
		return regexp.QuoteMeta(origin)
	}
	port := strconv.Itoa(int(wellKnown(scheme)))
	explicit := ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, explicit = host[:i], host[i+1:]
	}
	quoted := strings.ReplaceAll(regexp.QuoteMeta(host), `\*`, `[^/:@]+`)
	if host == "*" {
		quoted = `(?:[^/:@]+|\[[0-9a-f:.]+\])`
	}
	suffix := "(?::" + port + ")?"
	if explicit != "" && explicit != port {
		suffix = ":" + explicit
	}
	return scheme + "://" + quoted + suffix
}

package envoy

import (
	"cmp"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/projector/route"
)

// entryRoutes are the Envoy routes that together do what an entry says. Mostly
// one; more where a filter of a single backend, a redirect or a CORS policy says
// something that one Envoy route cannot.
func entryRoutes(chain *route.Chain, hostname string, e *route.Entry) ([]*routev3.Route, error) {
	var out []*routev3.Route
	for _, s := range shares(e.Rule) {
		base := &routev3.Route{Name: e.Name, Match: match(e.Match)}
		base.Match.RuntimeFraction = s.fraction
		if !changeHeaders(s.backends) {
			base.RequestHeadersToAdd, base.RequestHeadersToRemove = headerChanges(s.filters.RequestHeaders)
			base.ResponseHeadersToAdd, base.ResponseHeadersToRemove = headerChanges(s.filters.ResponseHeaders)
		}
		routes := []*routev3.Route{base}
		if s.filters.Redirect != nil {
			routes = redirectRoutes(base, chain, hostname, e.Match.Path, s.filters.Redirect)
		} else {
			base.Action = &routev3.Route_Route{Route: forward(e, s)}
		}
		if s.filters.CORS != nil {
			var err error
			if routes, err = corsRoutes(routes, e.Match.Method, s.filters.CORS); err != nil {
				return nil, err
			}
		}
		out = append(out, routes...)
	}
	if e.Tenant != nil {
		onlyFor(out, e.Tenant)
	}
	return out, nil
}

// share is a part of the requests of a rule that is treated alike.
type share struct {
	// fraction is the part of the requests that go to this share or to an earlier
	// one; nil is all of them.
	fraction *corev3.RuntimeFractionalPercent
	filters  route.Filters
	// backends have no filters left but header changes, and those only where there
	// are several.
	backends []route.Backend
}

// million is the resolution of shares. Mirrored fractions use another
// denominator where they can, see percent.
const million = 1_000_000

// shares splits a rule. One share is enough unless a backend has a filter that
// Envoy's weighted clusters cannot express; then each backend becomes a share of
// its own. Envoy compares the fractions of all routes with the same random number
// of the request, modulo the denominator, so they are cumulative: of three equal
// shares the second says 2/3, not 1/2.
func shares(rule *route.Rule) []share {
	split := len(rule.Backends) == 1
	var total uint64
	for i := range rule.Backends {
		total += uint64(rule.Backends[i].Weight)
		split = split || needsRoute(&rule.Backends[i].Filters)
	}
	if !split {
		return []share{{filters: rule.Filters, backends: rule.Backends}}
	}
	out := make([]share, 0, len(rule.Backends))
	var sum uint64
	for i := range rule.Backends {
		backend := rule.Backends[i]
		s := share{filters: rule.Filters}
		if backend.Cluster != "" {
			s.filters = override(rule.Filters, backend.Filters)
		}
		backend.Filters = route.Filters{}
		s.backends = []route.Backend{backend}
		if sum += uint64(backend.Weight); i < len(rule.Backends)-1 {
			s.fraction = &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
				Numerator:   uint32((sum*million + total/2) / total),
				Denominator: typev3.FractionalPercent_MILLION,
			}}
		}
		out = append(out, s)
	}
	return out
}

// needsRoute tells whether there are filters that only a route can express.
// Header changes are not among them.
func needsRoute(f *route.Filters) bool {
	return f.Redirect != nil || f.Rewrite != nil || len(f.Mirrors) > 0 || f.CORS != nil
}

// override applies the filters of a backend after those of its rule.
func override(rule, backend route.Filters) route.Filters {
	out := rule
	out.RequestHeaders = then(rule.RequestHeaders, backend.RequestHeaders)
	out.ResponseHeaders = then(rule.ResponseHeaders, backend.ResponseHeaders)
	out.Redirect = cmp.Or(backend.Redirect, rule.Redirect)
	out.CORS = cmp.Or(backend.CORS, rule.CORS)
	out.Mirrors = slices.Concat(rule.Mirrors, backend.Mirrors)
	if backend.Rewrite != nil {
		merged := *backend.Rewrite
		if rule.Rewrite != nil {
			merged.Hostname = cmp.Or(merged.Hostname, rule.Rewrite.Hostname)
			merged.Path = cmp.Or(merged.Path, rule.Rewrite.Path)
		}
		out.Rewrite = &merged
	}
	return out
}

// variant is a copy of a route that further header conditions select.
func variant(r *routev3.Route, conditions ...*routev3.HeaderMatcher) *routev3.Route {
	v := proto.CloneOf(r)
	v.Match.Headers = append(v.Match.Headers, conditions...)
	return v
}

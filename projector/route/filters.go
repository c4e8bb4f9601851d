package route

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
)

// newFilters resolves the filters of a rule or a backend. matched is the path
// prefix that ReplacePrefixMatch replaces. A filter that cannot be applied makes
// its rule invalid: requests must not pass without it (HTTPRouteRule.filters).
func (s *ruleSet) newFilters(r *reader, route events.Key, matched string, specs []gatewayv1.HTTPRouteFilter) (Filters, error) {
	var f Filters
	for i := range specs {
		if err := s.addFilter(&f, r, route, matched, &specs[i]); err != nil {
			return Filters{}, fmt.Errorf("filters[%d]: %w", i, err)
		}
	}
	if f.Redirect != nil && f.Rewrite != nil {
		return Filters{}, fmt.Errorf("RequestRedirect and URLRewrite cannot be combined")
	}
	return f, nil
}

func (s *ruleSet) addFilter(f *Filters, r *reader, route events.Key, matched string, spec *gatewayv1.HTTPRouteFilter) error {
	switch {
	case spec.Type == gatewayv1.HTTPRouteFilterRequestHeaderModifier && spec.RequestHeaderModifier != nil:
		f.RequestHeaders = newHeaderChange(spec.RequestHeaderModifier)
	case spec.Type == gatewayv1.HTTPRouteFilterResponseHeaderModifier && spec.ResponseHeaderModifier != nil:
		f.ResponseHeaders = newHeaderChange(spec.ResponseHeaderModifier)
	case spec.Type == gatewayv1.HTTPRouteFilterRequestRedirect && spec.RequestRedirect != nil:
		return f.setRedirect(spec.RequestRedirect, matched)
	case spec.Type == gatewayv1.HTTPRouteFilterURLRewrite && spec.URLRewrite != nil:
		f.Rewrite = &Rewrite{Path: newPathChange(spec.URLRewrite.Path, matched)}
		if spec.URLRewrite.Hostname != nil {
			f.Rewrite.Hostname = string(*spec.URLRewrite.Hostname)
		}
	case spec.Type == gatewayv1.HTTPRouteFilterRequestMirror && spec.RequestMirror != nil:
		s.addMirror(f, r, route, spec.RequestMirror)
	case spec.Type == gatewayv1.HTTPRouteFilterCORS && spec.CORS != nil:
		f.CORS = newCORS(spec.CORS)
	default:
		return fmt.Errorf("type %s is not supported", spec.Type)
	}
	return nil
}

func newHeaderChange(spec *gatewayv1.HTTPHeaderFilter) *HeaderChange {
	c := &HeaderChange{Remove: slices.Clone(spec.Remove)}
	for _, h := range spec.Set {
		c.Set = append(c.Set, Header{string(h.Name), h.Value})
	}
	for _, h := range spec.Add {
		c.Add = append(c.Add, Header{string(h.Name), h.Value})
	}
	return c
}

func (f *Filters) setRedirect(spec *gatewayv1.HTTPRequestRedirectFilter, matched string) error {
	f.Redirect = &Redirect{StatusCode: 302, Path: newPathChange(spec.Path, matched)}
	if spec.Scheme != nil {
		f.Redirect.Scheme = *spec.Scheme
	}
	if spec.Hostname != nil {
		f.Redirect.Hostname = string(*spec.Hostname)
	}
	if spec.Port != nil {
		f.Redirect.Port = *spec.Port
	}
	if spec.StatusCode != nil {
		f.Redirect.StatusCode = *spec.StatusCode
	}
	if !slices.Contains([]int{301, 302, 303, 307, 308}, f.Redirect.StatusCode) {
		return fmt.Errorf("statusCode %d is not supported", f.Redirect.StatusCode)
	}
	if !slices.Contains([]string{"", "http", "https"}, f.Redirect.Scheme) {
		return fmt.Errorf("scheme %q is not supported", f.Redirect.Scheme)
	}
	return nil
}

func newPathChange(spec *gatewayv1.HTTPPathModifier, matched string) *PathChange {
	if spec == nil {
		return nil
	}
	if spec.Type == gatewayv1.FullPathHTTPPathModifier {
		return &PathChange{Full: spec.ReplaceFullPath}
	}
	return &PathChange{Matched: matched, Prefix: spec.ReplacePrefixMatch}
}

// addMirror leaves out a mirror whose backend cannot be resolved: the request
// itself is served, and ResolvedRefs says what is wrong (HTTPRequestMirrorFilter.backendRef).
func (s *ruleSet) addMirror(f *Filters, r *reader, route events.Key, spec *gatewayv1.HTTPRequestMirrorFilter) {
	to, p := s.resolveBackend(r, route, spec.BackendRef)
	if !p.ok() {
		s.unresolved(p)
		return
	}
	m := Mirror{Cluster: to.cluster, Numerator: 100, Denominator: 100}
	switch {
	case spec.Fraction != nil:
		m.Numerator, m.Denominator = spec.Fraction.Numerator, 100
		if spec.Fraction.Denominator != nil {
			m.Denominator = *spec.Fraction.Denominator
		}
	case spec.Percent != nil:
		m.Numerator = *spec.Percent
	}
	f.Mirrors = append(f.Mirrors, m)
}

func newCORS(spec *gatewayv1.HTTPCORSFilter) *CORS {
	c := &CORS{
		AllowOrigins: texts(spec.AllowOrigins), AllowMethods: texts(spec.AllowMethods),
		AllowHeaders: texts(spec.AllowHeaders), ExposeHeaders: texts(spec.ExposeHeaders), MaxAge: spec.MaxAge,
	}
	c.AllowCredentials = spec.AllowCredentials != nil && *spec.AllowCredentials
	if c.MaxAge == 0 {
		c.MaxAge = 5 // HTTPCORSFilter.maxAge
	}
	for i, origin := range c.AllowOrigins {
		c.AllowOrigins[i] = strings.ToLower(origin)
	}
	return c
}

func texts[T ~string](in []T) []string {
	var out []string
	for _, s := range in {
		out = append(out, string(s))
	}
	return out
}

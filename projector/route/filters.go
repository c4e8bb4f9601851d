package route

import (
	"errors"
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
		return Filters{}, errIncompatible
	}
	return f, nil
}

// errIncompatible is what is wrong with a rule that has both, be one of them a
// backend's (HTTPRouteRule.filters).
var errIncompatible = errors.New("RequestRedirect and URLRewrite cannot be combined")

func (s *ruleSet) addFilter(f *Filters, r *reader, route events.Key, matched string, spec *gatewayv1.HTTPRouteFilter) error {
	var err error
	switch {
	case spec.Type == gatewayv1.HTTPRouteFilterRequestHeaderModifier && spec.RequestHeaderModifier != nil:
		f.RequestHeaders, err = newHeaderChange(spec.RequestHeaderModifier)
	case spec.Type == gatewayv1.HTTPRouteFilterResponseHeaderModifier && spec.ResponseHeaderModifier != nil:
		f.ResponseHeaders, err = newHeaderChange(spec.ResponseHeaderModifier)
	case spec.Type == gatewayv1.HTTPRouteFilterRequestRedirect && spec.RequestRedirect != nil:
		err = f.setRedirect(spec.RequestRedirect, matched)
	case spec.Type == gatewayv1.HTTPRouteFilterURLRewrite && spec.URLRewrite != nil:
		f.Rewrite = &Rewrite{}
		if spec.URLRewrite.Hostname != nil {
			f.Rewrite.Hostname = string(*spec.URLRewrite.Hostname)
		}
		f.Rewrite.Path, err = newPathChange(spec.URLRewrite.Path, matched)
	case spec.Type == gatewayv1.HTTPRouteFilterRequestMirror && spec.RequestMirror != nil:
		s.addMirror(f, r, route, spec.RequestMirror)
	case spec.Type == gatewayv1.HTTPRouteFilterCORS && spec.CORS != nil:
		f.CORS = newCORS(spec.CORS)
	default:
		err = fmt.Errorf("type %s is not supported", spec.Type)
	}
	return err
}

func (f *Filters) setRedirect(spec *gatewayv1.HTTPRequestRedirectFilter, matched string) error {
	f.Redirect = &Redirect{StatusCode: 302}
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
	var err error
	f.Redirect.Path, err = newPathChange(spec.Path, matched)
	return err
}

func newPathChange(spec *gatewayv1.HTTPPathModifier, matched string) (*PathChange, error) {
	if spec == nil {
		return nil, nil
	}
	change, to := &PathChange{Matched: matched, Prefix: spec.ReplacePrefixMatch}, or(spec.ReplacePrefixMatch, "")
	if spec.Type == gatewayv1.FullPathHTTPPathModifier {
		change, to = &PathChange{Full: spec.ReplaceFullPath}, or(spec.ReplaceFullPath, "")
	}
	if hasControls(to) {
		return nil, fmt.Errorf("path: %q has a control character", to)
	}
	return change, nil
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

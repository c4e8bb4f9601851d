package route

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// newMatches resolves the matches of a rule; none means every request.
func newMatches(specs []gatewayv1.HTTPRouteMatch) ([]Match, error) {
	if len(specs) == 0 {
		return []Match{{Path: PathMatch{Prefix, "/"}}}, nil
	}
	matches := make([]Match, 0, len(specs))
	for i := range specs {
		m, err := newMatch(&specs[i])
		if err != nil {
			return nil, fmt.Errorf("matches[%d].%w", i, err)
		}
		matches = append(matches, m)
	}
	return matches, nil
}

func newMatch(spec *gatewayv1.HTTPRouteMatch) (Match, error) {
	m := Match{Path: PathMatch{Prefix, "/"}}
	if p := spec.Path; p != nil {
		if p.Type != nil {
			m.Path.Kind = MatchKind(*p.Type)
		}
		if p.Value != nil {
			m.Path.Value = *p.Value
		}
	}
	switch m.Path.Kind {
	case Exact:
	case Prefix:
		// A trailing slash of a prefix does not count (HTTPPathMatch, "PathPrefix").
		if m.Path.Value = strings.TrimRight(m.Path.Value, "/"); m.Path.Value == "" {
			m.Path.Value = "/"
		}
	case Regex:
		if err := checkRegex("path.value", m.Path.Value); err != nil {
			return Match{}, err
		}
	default:
		return Match{}, fmt.Errorf("path.type: %q is not supported", m.Path.Kind)
	}
	if spec.Method != nil {
		m.Method = string(*spec.Method)
	}
	var err error
	m.Headers, err = newHeaderMatches(spec.Headers, func(h gatewayv1.HTTPHeaderMatch) (string, *string, string) {
		return string(h.Name), (*string)(h.Type), h.Value
	})
	if err != nil {
		return Match{}, err
	}
	seen := map[string]bool{}
	for i, q := range spec.QueryParams {
		if seen[string(q.Name)] {
			continue
		}
		seen[string(q.Name)] = true
		v, err := newValueMatch(string(q.Name), (*string)(q.Type), q.Value)
		if err != nil {
			return Match{}, fmt.Errorf("queryParams[%d].%w", i, err)
		}
		m.Query = append(m.Query, v)
	}
	return m, nil
}

// newHeaderMatches resolves conditions on headers. Of several on one name only the
// first counts (HTTPRouteMatch.headers, .queryParams).
func newHeaderMatches[M any](specs []M, read func(M) (name string, kind *string, value string)) ([]ValueMatch, error) {
	var out []ValueMatch
	for i, spec := range specs {
		name, kind, value := read(spec)
		name = strings.ToLower(name)
		if slices.ContainsFunc(out, func(v ValueMatch) bool { return v.Name == name }) {
			continue
		}
		v, err := newValueMatch(name, kind, value)
		if err != nil {
			return nil, fmt.Errorf("headers[%d].%w", i, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func newValueMatch(name string, kind *string, value string) (ValueMatch, error) {
	v := ValueMatch{Name: name, Kind: Exact, Value: value}
	if kind != nil {
		v.Kind = MatchKind(*kind)
	}
	switch v.Kind {
	case Exact:
		return v, nil
	case Regex:
		return v, checkRegex("value", value)
	default:
		return v, fmt.Errorf("type: %q is not supported", v.Kind)
	}
}

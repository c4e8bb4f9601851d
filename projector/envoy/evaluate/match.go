package evaluate

import (
	"fmt"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// mismatch is why a request does not meet a condition; "" if it does. The error is
// for a condition that this package does not know.
func mismatch(m *routev3.RouteMatch, r *Request, path, query string) (string, error) {
	if why, err := pathMismatch(m, path); why != "" || err != nil {
		return why, err
	}
	if m.GetGrpc() != nil && !r.grpc() {
		return "it is no gRPC request", nil
	}
	for _, h := range m.GetHeaders() {
		if why, err := headerMismatch(h, r); why != "" || err != nil {
			return why, err
		}
	}
	for _, q := range m.GetQueryParameters() {
		value, found := parameter(query, q.GetName())
		if !found {
			return fmt.Sprintf("the query has no %s", q.GetName()), nil
		}
		ok, want, err := compare(q.GetStringMatch(), value)
		if err != nil {
			return "", err
		}
		if !ok {
			return fmt.Sprintf("%s in the query is %q, not %s", q.GetName(), value, want), nil
		}
	}
	return "", nil
}

func pathMismatch(m *routev3.RouteMatch, path string) (string, error) {
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		if strings.HasPrefix(path, p.Prefix) {
			return "", nil
		}
		return fmt.Sprintf("the path does not begin with %s", p.Prefix), nil
	case *routev3.RouteMatch_Path:
		if path == p.Path {
			return "", nil
		}
		return fmt.Sprintf("the path is not %s", p.Path), nil
	case *routev3.RouteMatch_PathSeparatedPrefix:
		rest, ok := strings.CutPrefix(path, p.PathSeparatedPrefix)
		if ok && (rest == "" || rest[0] == '/') {
			return "", nil
		}
		return fmt.Sprintf("the path is not %s nor below it", p.PathSeparatedPrefix), nil
	case *routev3.RouteMatch_SafeRegex:
		ok, err := whole(p.SafeRegex, path)
		if ok || err != nil {
			return "", err
		}
		return fmt.Sprintf("the path does not match %s", p.SafeRegex.GetRegex()), nil
	}
	return "", fmt.Errorf("a condition on paths that is not known here: %T", m.GetPathSpecifier())
}

func headerMismatch(h *routev3.HeaderMatcher, r *Request) (string, error) {
	name := h.GetName()
	value, found := r.values(name)
	if p, ok := h.GetHeaderMatchSpecifier().(*routev3.HeaderMatcher_PresentMatch); ok {
		switch {
		case found == p.PresentMatch:
			return "", nil
		case found:
			return fmt.Sprintf("there is a header %s", name), nil
		}
		return fmt.Sprintf("there is no header %s", name), nil
	}
	if !found {
		return fmt.Sprintf("there is no header %s", name), nil
	}
	ok, want, err := compare(h.GetStringMatch(), value)
	if err != nil || ok != h.GetInvertMatch() {
		return "", err
	}
	not := ", not "
	if h.GetInvertMatch() {
		not = ", which is "
	}
	if name == ":method" {
		return fmt.Sprintf("the method is %s%s%s", value, not, want), nil
	}
	return fmt.Sprintf("the header %s is %q%s%s", strings.TrimPrefix(name, ":"), value, not, want), nil
}

// compare tells whether a text is as wanted, and what that is.
func compare(m *matcherv3.StringMatcher, value string) (ok bool, want string, err error) {
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return value == p.Exact, p.Exact, nil
	case *matcherv3.StringMatcher_SafeRegex:
		ok, err := whole(p.SafeRegex, value)
		return ok, "what matches " + p.SafeRegex.GetRegex(), err
	}
	return false, "", fmt.Errorf("a condition on a text that is not known here: %T", m.GetMatchPattern())
}

// whole tells whether an RE2 expression matches all of a text.
func whole(m *matcherv3.RegexMatcher, value string) (bool, error) {
	expression, err := regexp.Compile("^(?s:" + m.GetRegex() + ")$")
	if err != nil {
		return false, err
	}
	return expression.MatchString(value), nil
}

// parameter is the first value of a name in a query, as it stands there: nothing is
// decoded.
func parameter(query, name string) (string, bool) {
	for part := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(part, "="); key == name {
			return value, true
		}
	}
	return "", false
}

package route

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// newHeaderChange reads a change of headers. What is not HTTP is refused here, where it
// costs one rule: Envoy would refuse all routes of the hostname for it. Two actions on one
// header are refused, because the API gives them no order (HTTPHeaderFilter).
func newHeaderChange(spec *gatewayv1.HTTPHeaderFilter) (*HeaderChange, error) {
	c := &HeaderChange{Set: headers(spec.Set), Add: headers(spec.Add), Remove: slices.Clone(spec.Remove)}
	names := slices.Clone(spec.Remove)
	for _, h := range slices.Concat(c.Set, c.Add) {
		if hasControls(h.Value) {
			return nil, fmt.Errorf("the value %q of the header %s has a control character", h.Value, h.Name)
		}
		names = append(names, h.Name)
	}
	seen := map[string]bool{}
	for _, name := range names {
		lower := strings.ToLower(name)
		switch {
		case !isToken(name):
			return nil, fmt.Errorf("%q cannot be the name of a header", name)
		case seen[lower]:
			return nil, fmt.Errorf("there are several actions on the header %s", lower)
		}
		seen[lower] = true
	}
	return c, nil
}

func headers(specs []gatewayv1.HTTPHeader) []Header {
	var out []Header
	for _, h := range specs {
		out = append(out, Header{string(h.Name), h.Value})
	}
	return out
}

// isToken tells whether a text can be the name of a header (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	const others = "!#$%&'*+-.^_`|~"
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

// hasControls tells whether a text has what neither a header nor a path can have (RFC
// 9110, section 5.5).
func hasControls(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

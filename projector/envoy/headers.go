package envoy

import (
	"cmp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// then is the change that first and second make one after the other. Envoy makes
// all removals of a change before all settings, and those before all additions.
func then(first, second *route.HeaderChange) *route.HeaderChange {
	if first == nil || second == nil {
		return cmp.Or(first, second)
	}
	gone := map[string]bool{}
	for _, name := range second.Remove {
		gone[strings.ToLower(name)] = true
	}
	for _, h := range second.Set {
		gone[strings.ToLower(h.Name)] = true
	}
	undone := func(h route.Header) bool { return gone[strings.ToLower(h.Name)] }
	return &route.HeaderChange{
		Set:    append(slices.DeleteFunc(slices.Clone(first.Set), undone), second.Set...),
		Add:    append(slices.DeleteFunc(slices.Clone(first.Add), undone), second.Add...),
		Remove: slices.Concat(first.Remove, second.Remove),
	}
}

// changeHeaders tells whether a backend has header changes of its own.
func changeHeaders(backends []route.Backend) bool {
	return slices.ContainsFunc(backends, func(b route.Backend) bool {
		return b.Filters.RequestHeaders != nil || b.Filters.ResponseHeaders != nil
	})
}

// headerChanges is a change in Envoy's terms. The Host header is left out: Envoy
// takes no configuration that changes it this way, see hostOf.
func headerChanges(c *route.HeaderChange) (change []*corev3.HeaderValueOption, remove []string) {
	if c == nil {
		return nil, nil
	}
	options := func(headers []route.Header, action corev3.HeaderValueOption_HeaderAppendAction) {
		for _, h := range headers {
			if isHost(h.Name) {
				continue
			}
			change = append(change, &corev3.HeaderValueOption{
				Header:         &corev3.HeaderValue{Key: h.Name, Value: literal(h.Value)},
				AppendAction:   action,
				KeepEmptyValue: true,
			})
		}
	}
	options(c.Set, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
	options(c.Add, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD)
	for _, name := range c.Remove {
		if !isHost(name) {
			remove = append(remove, name)
		}
	}
	return change, remove
}

func isHost(name string) bool { return strings.EqualFold(name, "host") }

// hostOf is the Host header that a change sets, or "".
func hostOf(c *route.HeaderChange) string {
	if c != nil {
		for _, h := range c.Set {
			if isHost(h.Name) {
				return h.Value
			}
		}
	}
	return ""
}

// literal is a text that Envoy shall not take for one with substitutions.
func literal(s string) string { return strings.ReplaceAll(s, "%", "%%") }

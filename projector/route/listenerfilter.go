package route

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
)

// reasonInvalidListenerFilterRef is one that GEP-5224 names ("Status Reporting"),
// without a constant.
const reasonInvalidListenerFilterRef = "InvalidListenerFilterRef"

// resolveFilters finds whom a listener asks about each request (ListenerFilters). With
// one filter that cannot be applied the listener is not served: serving it without would
// let in whom it is to keep out.
func (l *listener) resolveFilters(r *reader, object events.Key, filters *gatewayv1.ListenerFilters) {
	if filters == nil {
		return
	}
	for i := range filters.Requests {
		f := &filters.Requests[i]
		switch {
		case l.stream() != "":
			l.accepted = problem{string(gatewayv1.ListenerReasonUnsupportedValue), fmt.Sprintf("filters.requests are for HTTP and HTTPS, and the protocol is %s; remove them.", l.protocol)}
			return
		case f.Type != gatewayv1.ListenerFilterExternalAuth || f.ExternalAuth == nil:
			l.accepted = problem{string(gatewayv1.ListenerReasonUnsupportedValue), fmt.Sprintf("filters.requests[%d]: filters of type %s are not supported; use ExternalAuth.", i, f.Type)}
			return
		}
		auth, p := newExternalAuth(r, object, f.ExternalAuth)
		if !p.ok() {
			l.blocked = true
			if l.resolved.ok() {
				l.resolved = problem{p.reason, fmt.Sprintf("filters.requests[%d]: externalAuth.backendRef: %s", i, p.message)}
			}
			continue
		}
		l.filters = append(l.filters, auth)
	}
}

// newExternalAuth resolves a filter (HTTPExternalAuthFilter).
func newExternalAuth(r *reader, object events.Key, spec *gatewayv1.HTTPExternalAuthFilter) (ExternalAuth, problem) {
	out := ExternalAuth{GRPC: spec.ExternalAuthProtocol == gatewayv1.HTTPRouteExternalAuthGRPCProtocol}
	kind := httpRoute // as which the Service is reached
	if out.GRPC {
		kind = grpcRoute
	}
	owner := "Gateway"
	if object.Resource == events.ListenerSets {
		owner = "ListenerSet"
	}
	s := &ruleSet{kind: kind, owner: owner}
	to, p := s.resolveBackend(r, object, spec.BackendRef)
	if !p.ok() {
		if p.reason != string(gatewayv1.RouteReasonRefNotPermitted) {
			p.reason = reasonInvalidListenerFilterRef
		}
		return out, p
	}
	if to.cluster == "" {
		return out, problem{reasonInvalidListenerFilterRef, "The BackendTLSPolicy of the Service cannot be followed; see its status."}
	}
	out.Cluster = to.cluster
	if config := spec.GRPCAuthConfig; config != nil && out.GRPC {
		out.RequestHeaders = headerNames(config.AllowedRequestHeaders)
	}
	if config := spec.HTTPAuthConfig; config != nil && !out.GRPC {
		// What the API lets through need not begin with a slash, and may have "..".
		if prefix := path.Clean("/" + config.Path); prefix != "/" {
			out.Prefix = prefix
		}
		out.RequestHeaders, out.ResponseHeaders = headerNames(config.AllowedRequestHeaders), headerNames(config.AllowedResponseHeaders)
	}
	if spec.ForwardBody != nil {
		out.MaxBody = uint32(max(0, spec.ForwardBody.MaxSize))
	}
	return out, problem{}
}

func headerNames(names []string) []string {
	var out []string
	for _, name := range names {
		if name != "" {
			out = append(out, strings.ToLower(name))
		}
	}
	return out
}

// asks is what a listener asks before a route is chosen; nil for nothing.
func (l *listener) asks() []ListenerAuth {
	if len(l.filters) == 0 {
		return nil
	}
	return []ListenerAuth{{l.id, l.filters}}
}

// authOf is what the listeners of a chain ask, each for its own hosts.
func authOf(a, b []ListenerAuth) []ListenerAuth {
	out := slices.Concat(a, b)
	slices.SortFunc(out, func(a, b ListenerAuth) int { return cmp.Compare(a.Listener, b.Listener) })
	return out
}

// authClusters are those that listeners reach by themselves.
func (m *merged) authClusters() []ClusterID {
	if m == nil || m.public == nil {
		return nil
	}
	var out []ClusterID
	for i := range m.public.Chains {
		for _, auth := range m.public.Chains[i].Auth {
			for _, filter := range auth.Filters {
				out = append(out, ClusterID{m.public.Name(), filter.Cluster})
			}
		}
	}
	return out
}

package describe

import (
	"fmt"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// readFilters finds the filters of listeners in a chain.
func (l *Listener) readFilters(chain *listenerv3.FilterChain) error {
	manager := &hcmv3.HttpConnectionManager{}
	if err := chain.GetFilters()[0].GetTypedConfig().UnmarshalTo(manager); err != nil {
		return err
	}
	for _, f := range manager.GetHttpFilters() {
		listener, ok := strings.CutPrefix(f.GetName(), "auth/")
		if !ok {
			continue
		}
		config := &authzv3.ExtAuthz{}
		if err := f.GetTypedConfig().UnmarshalTo(config); err != nil {
			return err
		}
		listener, _, _ = strings.Cut(listener, "/")
		l.Filters = append(l.Filters, listener+": "+externalAuth(config))
	}
	return nil
}

func externalAuth(config *authzv3.ExtAuthz) string {
	out := "ask " + config.GetGrpcService().GetEnvoyGrpc().GetClusterName() + " over gRPC"
	if h := config.GetHttpService(); h != nil {
		out = "ask " + h.GetServerUri().GetCluster()
		if prefix := h.GetPathPrefix(); prefix != "" {
			out += " at " + prefix
		}
		if copied := h.GetAuthorizationResponse().GetAllowedUpstreamHeaders(); len(copied.GetPatterns()) > 0 && copied.GetPatterns()[0].GetExact() != "" {
			out += ", take over " + headerList(copied)
		}
	}
	if told := config.GetAllowedHeaders(); told != nil {
		out += ", tell " + headerList(told)
	}
	if most := config.GetWithRequestBody().GetMaxRequestBytes(); most > 0 {
		out += fmt.Sprintf(", with bodies up to %d bytes", most)
	}
	return out
}

func headerList(list *matcherv3.ListStringMatcher) string {
	var names []string
	for _, m := range list.GetPatterns() {
		names = append(names, m.GetExact())
	}
	return strings.Join(names, " ")
}

package pinned

import (
	"fmt"
	"strings"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// listener looks at the certificates of a port, at whom it asks, and at what it forwards.
func (v *visit) listener(l *listenerv3.Listener) error {
	if l.GetUdpListenerConfig() != nil {
		for _, filter := range l.GetListenerFilters() {
			if err := v.datagrams(filter); err != nil {
				return err
			}
		}
		return nil
	}
	for _, chain := range l.GetFilterChains() {
		tls := &tlsv3.DownstreamTlsContext{}
		if err := unmarshalSocket(chain.GetTransportSocket(), tls); err != nil {
			return fmt.Errorf("filter chain %s: %w", chain.GetName(), err)
		}
		kind, namespace := v.owner(chain.GetName())
		v.secrets(kind, namespace, tls.GetCommonTlsContext())
		for _, filter := range chain.GetFilters() {
			if err := v.connections(filter); err != nil {
				return fmt.Errorf("filter chain %s: %w", chain.GetName(), err)
			}
		}
	}
	return nil
}

// owner is who has the listener of a chain: https-<port>-<listener> is the Gateway's, and
// https-<port>-<namespace>_<set>_<listener> a ListenerSet's. No name has a "_". Clients
// are validated as the Gateway says in either case.
func (v *visit) owner(chain string) (kind, namespace string) {
	id, _, _ := strings.Cut(chain, "/")
	parts := strings.SplitN(id, "-", 3)
	return v.ownerOf(parts[len(parts)-1])
}

// ownerOf is who has a listener.
func (v *visit) ownerOf(listener string) (kind, namespace string) {
	if namespace, _, ok := strings.Cut(listener, "_"); ok {
		return "ListenerSet", namespace
	}
	return "Gateway", v.gateway
}

// asks looks at which servers are asked before a route is chosen. One that is denied
// lets nobody in.
func (v *visit) asks(filter *listenerv3.Filter) error {
	manager := &hcmv3.HttpConnectionManager{}
	return v.within(filter.GetTypedConfig(), manager, func() error { return v.askers(manager) })
}

func (v *visit) askers(manager *hcmv3.HttpConnectionManager) error {
	for _, f := range manager.GetHttpFilters() {
		config := &authzv3.ExtAuthz{}
		if !f.GetTypedConfig().MessageIs(config) {
			continue
		}
		if err := f.GetTypedConfig().UnmarshalTo(config); err != nil {
			return err
		}
		kind, namespace := v.ownerOf(strings.TrimPrefix(f.GetName(), "auth/"))
		from, changed := origin{kind, namespace}, false
		if g := config.GetGrpcService().GetEnvoyGrpc(); g != nil && v.denies(from, g.GetClusterName()) {
			g.ClusterName, changed = form.Unresolved, true
		}
		if uri := config.GetHttpService().GetServerUri(); uri != nil && v.denies(from, uri.GetCluster()) {
			uri.HttpUpstreamType, changed = &corev3.HttpUri_Cluster{Cluster: form.Unresolved}, true
		}
		if changed {
			if err := rewrite(f.GetTypedConfig(), config); err != nil {
				return err
			}
		}
	}
	return nil
}

// connections looks at where a filter sends connections, or their requests, by itself.
func (v *visit) connections(filter *listenerv3.Filter) error {
	if filter.GetTypedConfig().MessageIs(&hcmv3.HttpConnectionManager{}) {
		return v.asks(filter)
	}
	proxy := &tcpv3.TcpProxy{}
	if !filter.GetTypedConfig().MessageIs(proxy) {
		return nil
	}
	return v.within(filter.GetTypedConfig(), proxy, func() error {
		from := originOf(proxy.GetStatPrefix())
		if v.denies(from, proxy.GetCluster()) {
			proxy.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: form.Unresolved}
		}
		for _, c := range proxy.GetWeightedClusters().GetClusters() {
			if v.denies(from, c.GetName()) {
				c.Name = form.Unresolved
			}
		}
		return nil
	})
}

// datagrams looks at where a filter forwards datagrams to, if it does.
func (v *visit) datagrams(filter *listenerv3.ListenerFilter) error {
	proxy := &udpv3.UdpProxyConfig{}
	if !filter.GetTypedConfig().MessageIs(proxy) {
		return nil
	}
	return v.within(filter.GetTypedConfig(), proxy, func() error {
		from, matcher := originOf(proxy.GetStatPrefix()), proxy.GetMatcher()
		for _, m := range matcher.GetMatcherList().GetMatchers() {
			if err := v.sessions(from, m.GetOnMatch()); err != nil {
				return err
			}
		}
		return v.sessions(from, matcher.GetOnNoMatch())
	})
}

func (v *visit) sessions(from origin, to *matcherv3.Matcher_OnMatch) error {
	if to == nil {
		return nil
	}
	r := &udpv3.Route{}
	if err := to.GetAction().GetTypedConfig().UnmarshalTo(r); err != nil {
		return err
	}
	if !v.denies(from, r.GetCluster()) {
		return nil
	}
	r.Cluster = form.Unresolved
	return rewrite(to.GetAction().GetTypedConfig(), r)
}

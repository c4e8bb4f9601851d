package pinned

import (
	"fmt"
	"strings"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// listener looks at the certificates of a port, and at what it forwards.
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
	if len(parts) == 3 {
		if namespace, _, ok := strings.Cut(parts[2], "_"); ok {
			return "ListenerSet", namespace
		}
	}
	return "Gateway", v.gateway
}

// connections looks at where a filter forwards connections to, if it does.
func (v *visit) connections(filter *listenerv3.Filter) error {
	proxy := &tcpv3.TcpProxy{}
	if !filter.GetTypedConfig().MessageIs(proxy) {
		return nil
	}
	if err := filter.GetTypedConfig().UnmarshalTo(proxy); err != nil {
		return err
	}
	from, before := originOf(proxy.GetStatPrefix()), v.changed
	v.changed = false
	if v.denies(from, proxy.GetCluster()) {
		proxy.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: form.Unresolved}
	}
	for _, c := range proxy.GetWeightedClusters().GetClusters() {
		if v.denies(from, c.GetName()) {
			c.Name = form.Unresolved
		}
	}
	if v.changed {
		return rewrite(filter.GetTypedConfig(), proxy)
	}
	v.changed = before
	return nil
}

// datagrams looks at where a filter forwards datagrams to, if it does.
func (v *visit) datagrams(filter *listenerv3.ListenerFilter) error {
	proxy := &udpv3.UdpProxyConfig{}
	if !filter.GetTypedConfig().MessageIs(proxy) {
		return nil
	}
	if err := filter.GetTypedConfig().UnmarshalTo(proxy); err != nil {
		return err
	}
	from, before := originOf(proxy.GetStatPrefix()), v.changed
	v.changed = false
	matcher := proxy.GetMatcher()
	for _, m := range matcher.GetMatcherList().GetMatchers() {
		if err := v.sessions(from, m.GetOnMatch()); err != nil {
			return err
		}
	}
	if err := v.sessions(from, matcher.GetOnNoMatch()); err != nil {
		return err
	}
	if v.changed {
		return rewrite(filter.GetTypedConfig(), proxy)
	}
	v.changed = before
	return nil
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

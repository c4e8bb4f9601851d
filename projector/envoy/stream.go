package envoy

import (
	"cmp"
	"fmt"

	matcherapi "github.com/cncf/xds/go/xds/core/v3"
	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	inputsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/common_inputs/network/v3"
	fractionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
	"github.com/rutter-gateway/rutter/projector/route"
)

// forwarding are the filter chains of a stream: one per hostname that something
// is forwarded for, selected by its SNI. Without a hostname there is one, which
// takes every connection.
func (b *builder) forwarding(g *route.Gateway, chain *route.Chain) ([]*listenerv3.FilterChain, error) {
	var out []*listenerv3.FilterChain
	for _, host := range b.tables.Hosts(g.Name(), chain.ID) {
		if len(host.Entries) == 0 || host.Misdirected {
			continue
		}
		proxy, err := anyOf(tcpProxy(g, chain, &host.Entries[0]))
		if err != nil {
			return nil, err
		}
		c := &listenerv3.FilterChain{
			Name:    chain.ID + "/" + host.ID.Hostname,
			Filters: []*listenerv3.Filter{{Name: "envoy.filters.network.tcp_proxy", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: proxy}}},
		}
		if host.ID.Hostname != "*" {
			c.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: []string{host.ID.Hostname}}
		}
		if chain.TLS {
			c.TransportSocketConnectTimeout = durationpb.New(handshake)
			if c.TransportSocket, err = transportSocket(terminate(chain)); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// tcpProxy forwards each connection to a backend. One that falls to a backend that
// cannot be resolved is closed (TLSRouteRule.backendRefs). StatPrefix names the entry.
func tcpProxy(g *route.Gateway, chain *route.Chain, e *route.Entry) *tcpv3.TcpProxy {
	p := &tcpv3.TcpProxy{StatPrefix: e.Name, AccessLog: accessLogs(g), ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: form.Unresolved}}
	switch backends := e.Rule.Backends; len(backends) {
	case 0:
	case 1:
		p.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: cmp.Or(backends[0].ClusterFor(chain), form.Unresolved)}
	default:
		weighted := &tcpv3.TcpProxy_WeightedCluster{}
		for _, b := range backends {
			weighted.Clusters = append(weighted.Clusters, &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{Name: cmp.Or(b.ClusterFor(chain), form.Unresolved), Weight: b.Weight})
		}
		p.ClusterSpecifier = &tcpv3.TcpProxy_WeightedClusters{WeightedClusters: weighted}
	}
	return p
}

// datagrams is one UDP port; nil where nothing is forwarded from there yet.
func (b *builder) datagrams(g *route.Gateway, chain *route.Chain) (*listenerv3.Listener, error) {
	for _, host := range b.tables.Hosts(g.Name(), chain.ID) {
		if len(host.Entries) == 0 {
			continue
		}
		proxy, err := anyOf(udpProxy(g, &host.Entries[0]))
		if err != nil {
			return nil, err
		}
		return &listenerv3.Listener{
			Name:              fmt.Sprintf("udp-%d", chain.Port),
			Address:           address(g, chain.Port, corev3.SocketAddress_UDP),
			UdpListenerConfig: &listenerv3.UdpListenerConfig{},
			ListenerFilters: []*listenerv3.ListenerFilter{{
				Name:       "envoy.filters.udp_listener.udp_proxy",
				ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: proxy},
			}},
		}, nil
	}
	return nil, nil
}

// udpProxy forwards each session, which is what one address and port of a client
// sends, to a backend; datagrams for one that cannot be resolved are dropped.
func udpProxy(g *route.Gateway, e *route.Entry) *udpv3.UdpProxyConfig {
	return &udpv3.UdpProxyConfig{
		StatPrefix:     e.Name,
		AccessLog:      accessLogs(g),
		RouteSpecifier: &udpv3.UdpProxyConfig_Matcher{Matcher: shareSessions(e.Rule.Backends)},
	}
}

// shareSessions divides sessions by a hash over the client's port: the same one for
// every fraction, so they are cumulative, as in [shares].
func shareSessions(backends []route.Backend) *matcherv3.Matcher {
	if len(backends) == 0 {
		return &matcherv3.Matcher{OnNoMatch: sessionsTo(form.Unresolved)}
	}
	last := len(backends) - 1
	m := &matcherv3.Matcher{OnNoMatch: sessionsTo(backends[last].Cluster)}
	var total, sum uint64
	for _, b := range backends {
		total += uint64(b.Weight)
	}
	if last == 0 {
		return m
	}
	list := &matcherv3.Matcher_MatcherList{}
	for _, b := range backends[:last] {
		sum += uint64(b.Weight)
		list.Matchers = append(list.Matchers, &matcherv3.Matcher_MatcherList_FieldMatcher{
			Predicate: &matcherv3.Matcher_MatcherList_Predicate{MatchType: &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_{
				SinglePredicate: &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate{
					Input: extension("source-port", &inputsv3.SourcePortInput{}),
					Matcher: &matcherv3.Matcher_MatcherList_Predicate_SinglePredicate_CustomMatch{
						CustomMatch: extension("share", &fractionv3.RuntimeFraction{RuntimeFraction: &corev3.RuntimeFractionalPercent{
							DefaultValue: &typev3.FractionalPercent{
								Numerator: uint32((sum*million + total/2) / total), Denominator: typev3.FractionalPercent_MILLION,
							},
						}}),
					},
				},
			}},
			OnMatch: sessionsTo(b.Cluster),
		})
	}
	m.MatcherType = &matcherv3.Matcher_MatcherList_{MatcherList: list}
	return m
}

func sessionsTo(cluster string) *matcherv3.Matcher_OnMatch {
	return &matcherv3.Matcher_OnMatch{OnMatch: &matcherv3.Matcher_OnMatch_Action{
		Action: extension("route", &udpv3.Route{Cluster: cmp.Or(cluster, form.Unresolved)}),
	}}
}

func extension(name string, m message) *matcherapi.TypedExtensionConfig {
	return &matcherapi.TypedExtensionConfig{Name: name, TypedConfig: fixed(m)}
}

package envoy

import (
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

// bufferLimit bounds what is held in memory per connection, downstream and
// upstream, in bytes (Envoy's advice for the edge; its default is 1 MiB).
const bufferLimit = 32 << 10

// listeners are all Listeners of a Gateway, in the order of their ports.
func (b *builder) listeners(id OutputID) ([]routing.Resource, error) {
	g := b.tables.Gateway(id.Gateway)
	if g == nil {
		return nil, nil
	}
	var resources []routing.Resource
	for first := 0; first < len(g.Chains); {
		last := first
		for last < len(g.Chains) && g.Chains[last].Port == g.Chains[first].Port {
			last++
		}
		l, err := listener(g, g.Chains[first:last])
		if err != nil {
			return nil, err
		}
		r, err := resource(TypeListener, l.Name, l, g.Key)
		if err != nil {
			return nil, err
		}
		resources = append(resources, r)
		first = last
	}
	return resources, nil
}

// listener is one port, with the chains on it.
func listener(g *route.Gateway, chains []route.Chain) (*listenerv3.Listener, error) {
	port := chains[0].Port
	l := &listenerv3.Listener{
		Name: fmt.Sprintf("port-%d", port),
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address:       g.ListenAddress,
			PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
			Ipv4Compat:    strings.Contains(g.ListenAddress, ":"), // "::" takes IPv4 too
		}}},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		// Without SO_REUSEPORT a port that somebody else has is an error, reported as
		// such. With it two Envoys of one user would silently share the connections.
		EnableReusePort: wrapperspb.Bool(false),
	}
	for i := range chains {
		filterChain, err := filterChain(g, &chains[i])
		if err != nil {
			return nil, err
		}
		l.FilterChains = append(l.FilterChains, filterChain)
		if chains[i].TLS {
			l.ListenerFilters = tlsInspector()
		}
	}
	return l, nil
}

// tlsInspector reads the SNI before a filter chain is chosen.
func tlsInspector() []*listenerv3.ListenerFilter {
	return []*listenerv3.ListenerFilter{{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: fixed(&inspectorv3.TlsInspector{})},
	}}
}

func filterChain(g *route.Gateway, chain *route.Chain) (*listenerv3.FilterChain, error) {
	manager, err := anyOf(connectionManager(chain, layoutOf(g)))
	if err != nil {
		return nil, err
	}
	out := &listenerv3.FilterChain{
		Name: chain.ID,
		Filters: []*listenerv3.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: manager},
		}},
	}
	if !chain.TLS {
		return out, nil
	}
	tls, err := anyOf(terminate(chain))
	if err != nil {
		return nil, err
	}
	out.TransportSocket = &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: tls},
	}
	if chain.ServerName != "" {
		out.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: []string{chain.ServerName}}
	}
	return out, nil
}

// terminate is how a chain speaks TLS. Certificates come by SDS, so that a
// renewed one changes no listener and drains no connection.
func terminate(chain *route.Chain) *tlsv3.DownstreamTlsContext {
	var certificates []*tlsv3.SdsSecretConfig
	for _, name := range chain.Certificates {
		certificates = append(certificates, &tlsv3.SdsSecretConfig{Name: name, SdsConfig: ads()})
	}
	return &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		AlpnProtocols:                  []string{"h2", "http/1.1"},
		TlsCertificateSdsSecretConfigs: certificates,
	}}
}

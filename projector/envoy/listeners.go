package envoy

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	inspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

// bufferLimit bounds what is held in memory per connection, downstream and
// upstream, in bytes (Envoy's advice for the edge; its default is 1 MiB).
const bufferLimit = 32 << 10

// handshake ends connections whose TLS handshake does not: until then no other timeout
// counts, and Envoy has none of its own.
const handshake = 10 * time.Second

// listeners are all Listeners of a Gateway, in the order of their ports, and what they
// need to look at tokens.
func (b *builder) listeners(id OutputID) ([]routing.Resource, error) {
	g := b.tables.Gateway(id.Gateway)
	if g == nil {
		return nil, nil
	}
	var resources []routing.Resource
	var problem error // with the first listener that cannot be told to Envoy
	add := func(chains []route.Chain, l *listenerv3.Listener, err error) {
		if err == nil && l != nil {
			var r routing.Resource
			if r, err = resource(TypeListener, l.Name, l, ownerOf(g, chains)); err == nil {
				resources = append(resources, r)
			}
		}
		if problem == nil {
			problem = err
		}
	}
	if g.Tokens != nil {
		r, err := beside(g)
		if err != nil {
			return nil, err
		}
		resources = append(resources, r)
	}
	var tcp []route.Chain // of one port
	for i, c := range g.Chains {
		if c.Stream == route.StreamUDP {
			l, err := b.datagrams(g, &c)
			add(g.Chains[i:i+1], l, err)
		} else {
			tcp = append(tcp, c)
		}
		if len(tcp) > 0 && (i+1 == len(g.Chains) || g.Chains[i+1].Port != c.Port) {
			l, err := b.listener(g, tcp)
			add(tcp, l, err)
			tcp = nil
		}
	}
	return resources, problem
}

// ownerOf is the object to tell when Envoy refuses a port: the one that alone has
// listeners there, or the Gateway.
func ownerOf(g *route.Gateway, chains []route.Chain) events.Key {
	for i := range chains {
		if chains[i].Owner != chains[0].Owner {
			return g.Key
		}
	}
	return cmp.Or(chains[0].Owner, g.Key)
}

func address(g *route.Gateway, port int32, protocol corev3.SocketAddress_Protocol) *corev3.Address {
	ip, _ := netip.ParseAddr(g.ListenAddress) // what is none Envoy refuses
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Protocol:      protocol,
		Address:       g.ListenAddress,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
		// "::" takes IPv4 too; on any other address of IPv6 Envoy refuses to.
		Ipv4Compat: ip.Is4In6() || ip.Is6() && ip.IsUnspecified(),
	}}}
}

// listener is one TCP port, with the chains on it; nil where nothing is forwarded
// from there yet: then nobody listens.
func (b *builder) listener(g *route.Gateway, chains []route.Chain) (*listenerv3.Listener, error) {
	port := chains[0].Port
	l := &listenerv3.Listener{
		Name:                          fmt.Sprintf("port-%d", port),
		Address:                       address(g, port, corev3.SocketAddress_TCP),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		// Without SO_REUSEPORT a port that somebody else has is an error, reported as
		// such. With it two Envoys of one user would silently share the connections.
		EnableReusePort: wrapperspb.Bool(false),
	}
	for i := range chains {
		filterChains, err := b.filterChains(g, &chains[i])
		if err != nil {
			return nil, err
		}
		l.FilterChains = append(l.FilterChains, filterChains...)
		if chains[i].TLS || chains[i].Passthrough {
			l.ListenerFilters = tlsInspector()
		}
	}
	if len(l.FilterChains) == 0 {
		return nil, nil
	}
	return l, nil
}

func (b *builder) filterChains(g *route.Gateway, chain *route.Chain) ([]*listenerv3.FilterChain, error) {
	if chain.Stream != "" {
		return b.forwarding(g, chain)
	}
	one, err := filterChain(g, chain)
	return []*listenerv3.FilterChain{one}, err
}

// tlsInspector reads the SNI before a filter chain is chosen.
func tlsInspector() []*listenerv3.ListenerFilter {
	return []*listenerv3.ListenerFilter{{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: fixed(&inspectorv3.TlsInspector{})},
	}}
}

func filterChain(g *route.Gateway, chain *route.Chain) (*listenerv3.FilterChain, error) {
	connection, err := connectionManager(g, chain)
	if err != nil {
		return nil, err
	}
	manager, err := anyOf(connection)
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
	if chain.ServerName != "" {
		out.FilterChainMatch = &listenerv3.FilterChainMatch{ServerNames: []string{chain.ServerName}}
	}
	out.TransportSocketConnectTimeout = durationpb.New(handshake)
	out.TransportSocket, err = transportSocket(terminate(chain, "h2", "http/1.1"))
	return out, err
}

// terminate is how a chain speaks TLS. Certificates come by SDS, so that a
// renewed one changes no listener and drains no connection.
func terminate(chain *route.Chain, alpn ...string) *tlsv3.DownstreamTlsContext {
	var certificates []*tlsv3.SdsSecretConfig
	for _, name := range chain.Certificates {
		certificates = append(certificates, sds(name))
	}
	tls := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		AlpnProtocols:                  alpn,
		TlsCertificateSdsSecretConfigs: certificates,
	}}
	if clients := chain.Clients; clients != nil {
		by := &tlsv3.CertificateValidationContext{}
		if clients.Optional {
			by.TrustChainVerification = tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
		}
		tls.RequireClientCertificate = wrapperspb.Bool(!clients.Optional)
		tls.CommonTlsContext.ValidationContextType = validated(by, clients.CA)
	}
	return tls
}

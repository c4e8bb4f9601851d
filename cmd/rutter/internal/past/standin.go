package past

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"filippo.io/age"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/sealing"
	"github.com/rutter-gateway/rutter/projector/envoy"
)

// Config says where the past is served.
type Config struct {
	// ListenAddress takes the place of the listeners' own; PortOffset is added to each
	// port.
	ListenAddress string
	PortOffset    int
	// Identity opens the keys of the certificates that are made.
	Identity *age.X25519Identity
}

// Past is a version with stand-ins for what is not here. Close it when done.
type Past struct {
	// State has the version, and the resources to serve.
	State *routing.State
	// Listeners are the addresses, by Gateway, sorted by port.
	Listeners map[string][]string

	config   Config
	backends map[string]*backend
}

// StandIns makes a version one that can be served here. The state that it is given
// stays as it is.
func StandIns(ctx context.Context, state *routing.State, c Config) (*Past, error) {
	p := &Past{State: routing.NewState(), Listeners: map[string][]string{}, config: c, backends: map[string]*backend{}}
	full := &routing.Snapshot{Version: state.Version, FoldVersion: state.FoldVersion, Time: state.Time, Chain: state.Chain}
	for _, name := range slices.Sorted(maps.Keys(state.Gateways)) {
		d := routing.GatewayDelta{Gateway: name}
		for _, r := range slices.SortedFunc(maps.Values(state.Gateways[name].Resources), func(a, b routing.Resource) int { return a.ResourceName.Compare(b.ResourceName) }) {
			r, err := p.standIn(ctx, name, r)
			if err != nil {
				p.Close()
				return nil, fmt.Errorf("gateway %s: %s: %w", name, r.Name, err)
			}
			d.Changed = append(d.Changed, r)
			d.Digest = d.Digest.Add(r.ResourceName.Member(r.Digest))
		}
		full.Gateways = append(full.Gateways, d)
	}
	if err := p.State.Apply(full); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the backends.
func (p *Past) Close() {
	for _, b := range p.backends {
		b.close()
	}
}

func (p *Past) standIn(ctx context.Context, gateway string, r routing.Resource) (routing.Resource, error) {
	switch r.Type {
	case envoy.TypeListener:
		return changed(r, func(l *listenerv3.Listener) error { return p.move(gateway, l) })
	case envoy.TypeCluster:
		return changed(r, func(c *clusterv3.Cluster) error { return p.replace(ctx, c) })
	case envoy.TypeSecret:
		r.Sealed = nil
		var key []byte
		out, err := changed(r, func(s *tlsv3.Secret) (err error) {
			if t := s.GetTlsCertificate(); t != nil {
				t.CertificateChain, key, err = certificateLike(t.GetCertificateChain().GetInlineBytes())
			}
			return err
		})
		if err == nil && key != nil {
			out.Sealed, err = sealing.Seal(p.config.Identity.Recipient(), key)
		}
		return out, err
	}
	return r, nil
}

// changed is a resource with another content.
func changed[M any, P interface {
	*M
	proto.Message
}](r routing.Resource, change func(P) error) (routing.Resource, error) {
	m := P(new(M))
	err := proto.Unmarshal(r.Body, m)
	if err == nil {
		err = change(m)
	}
	if err == nil {
		r.Body, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	}
	r.Digest = routing.DigestOf(r.Body)
	return r, err
}

// move puts a listener where it is asked for.
func (p *Past) move(gateway string, l *listenerv3.Listener) error {
	socket := l.GetAddress().GetSocketAddress()
	port := int(socket.GetPortValue()) + p.config.PortOffset
	if port < 1 || port > 65535 {
		return fmt.Errorf("the port %d moved by %d is %d, and no port: choose another --port-offset", socket.GetPortValue(), p.config.PortOffset, port)
	}
	socket.Address, socket.PortSpecifier = p.config.ListenAddress, &corev3.SocketAddress_PortValue{PortValue: uint32(port)}
	l.AdditionalAddresses = nil
	p.Listeners[gateway] = append(p.Listeners[gateway], fmt.Sprintf("%s:%d", p.config.ListenAddress, port))
	return nil
}

// replace leads a cluster whose endpoints come from Kubernetes to its stand-in.
func (p *Past) replace(ctx context.Context, c *clusterv3.Cluster) error {
	if c.GetType() != clusterv3.Cluster_EDS {
		return nil
	}
	b := p.backends[c.Name]
	if b == nil {
		var err error
		if b, err = newBackend(ctx, c.Name); err != nil {
			return err
		}
		p.backends[c.Name] = b
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	c.EdsClusterConfig, c.TransportSocket = nil, nil
	c.LoadAssignment = &endpointv3.ClusterLoadAssignment{ClusterName: c.Name, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(b.port)},
			}}},
		}}}},
	}}}
	return nil
}

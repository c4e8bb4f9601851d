package simenvoy

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// references is what a resource names: names of other resources by type, "*"
// for all of a type.
type references map[string][]string

func (r references) add(typ, name string) { r[typ] = append(r[typ], name) }

// referencesOf reads a resource as far as it names others.
func referencesOf(typ string, body []byte) (references, error) {
	out := references{}
	switch typ {
	case store.ClusterType:
		var c clusterv3.Cluster
		if err := proto.Unmarshal(body, &c); err != nil {
			return nil, err
		}
		if c.GetType() == clusterv3.Cluster_EDS {
			name := c.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = c.GetName()
			}
			out.add(store.EndpointType, name)
		}
		var tls tlsv3.UpstreamTlsContext
		if socket := c.GetTransportSocket().GetTypedConfig(); socket.MessageIs(&tls) {
			if err := socket.UnmarshalTo(&tls); err != nil {
				return nil, err
			}
			out.addSecrets(tls.GetCommonTlsContext())
		}
	case store.ListenerType:
		var l listenerv3.Listener
		if err := proto.Unmarshal(body, &l); err != nil {
			return nil, err
		}
		for _, chain := range l.GetFilterChains() {
			if err := out.addChain(chain); err != nil {
				return nil, fmt.Errorf("listener %s: %w", l.GetName(), err)
			}
		}
	case store.ScopeType:
		var s routev3.ScopedRouteConfiguration
		if err := proto.Unmarshal(body, &s); err != nil {
			return nil, err
		}
		if name := s.GetRouteConfigurationName(); name != "" {
			out.add(store.RouteType, name)
		}
		out.addRoutes(s.GetRouteConfiguration())
	case store.RouteType:
		var r routev3.RouteConfiguration
		if err := proto.Unmarshal(body, &r); err != nil {
			return nil, err
		}
		out.addRoutes(&r)
	}
	return out, nil
}

func (r references) addChain(chain *listenerv3.FilterChain) error {
	for _, filter := range chain.GetFilters() {
		var manager hcmv3.HttpConnectionManager
		if !filter.GetTypedConfig().MessageIs(&manager) {
			continue
		}
		if err := filter.GetTypedConfig().UnmarshalTo(&manager); err != nil {
			return err
		}
		if name := manager.GetRds().GetRouteConfigName(); name != "" {
			r.add(store.RouteType, name)
		}
		if manager.GetScopedRoutes() != nil {
			r.add(store.ScopeType, "*")
		}
	}
	var tls tlsv3.DownstreamTlsContext
	if socket := chain.GetTransportSocket().GetTypedConfig(); socket.MessageIs(&tls) {
		if err := socket.UnmarshalTo(&tls); err != nil {
			return err
		}
		r.addSecrets(tls.GetCommonTlsContext())
	}
	return nil
}

func (r references) addSecrets(tls *tlsv3.CommonTlsContext) {
	for _, secret := range tls.GetTlsCertificateSdsSecretConfigs() {
		r.add(store.SecretType, secret.GetName())
	}
	if secret := tls.GetCombinedValidationContext().GetValidationContextSdsSecretConfig(); secret != nil {
		r.add(store.SecretType, secret.GetName())
	}
}

func (r references) addRoutes(routes *routev3.RouteConfiguration) {
	for _, host := range routes.GetVirtualHosts() {
		for _, route := range host.GetRoutes() {
			if cluster := route.GetRoute().GetCluster(); cluster != "" {
				r.add(store.ClusterType, cluster)
			}
		}
	}
}

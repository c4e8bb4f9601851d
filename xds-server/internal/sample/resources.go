package sample

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// Resource is m under a name.
func Resource(typ, name string, m proto.Message) routing.Resource {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return routing.Resource{
		ResourceName: routing.ResourceName{Type: typ, Name: name},
		Digest:       routing.DigestOf(body),
		Body:         body,
		Origin:       events.Key{Resource: events.HTTPRoutes, Namespace: "ns", Name: name},
	}
}

// Cluster is an EDS cluster; another timeout makes another digest.
func Cluster(name, assignment string, timeout time.Duration) routing.Resource {
	return Resource(store.ClusterType, name, &clusterv3.Cluster{
		Name:                 name,
		ConnectTimeout:       durationpb.New(timeout),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{ServiceName: assignment, EdsConfig: ads()},
	})
}

// Secured is a cluster that is reached over TLS, and trusts the authorities named ca.
func Secured(name, assignment string, timeout time.Duration, ca string) routing.Resource {
	return Resource(store.ClusterType, name, &clusterv3.Cluster{
		Name:                 name,
		ConnectTimeout:       durationpb.New(timeout),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{ServiceName: assignment, EdsConfig: ads()},
		TransportSocket: &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(&tlsv3.UpstreamTlsContext{
			CommonTlsContext: &tlsv3.CommonTlsContext{ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext:         &tlsv3.CertificateValidationContext{},
					ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: ca, SdsConfig: ads()},
				},
			}},
		})}},
	})
}

// Authorities are certificates to trust.
func Authorities(name string, certificates []byte) routing.Resource {
	return Resource(store.SecretType, name, &tlsv3.Secret{
		Name: name,
		Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: certificates}},
		}},
	})
}

// Scope is a route scope of listener l0 for a host, with its routes inline; an
// empty prefix makes a route that Envoy refuses.
func Scope(host, prefix, cluster string) routing.Resource {
	routes := routesTo(prefix, cluster)
	routes.Name = "l0/" + host
	return Resource(store.ScopeType, "l0/"+host, &routev3.ScopedRouteConfiguration{
		Name: "l0/" + host,
		Key: &routev3.ScopedRouteConfiguration_Key{Fragments: []*routev3.ScopedRouteConfiguration_Key_Fragment{{
			Type: &routev3.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: "l0/" + host},
		}}},
		RouteConfiguration: routes,
	})
}

// Routes is a route configuration that sends everything under prefix to a cluster.
func Routes(name, prefix, cluster string) routing.Resource {
	routes := routesTo(prefix, cluster)
	routes.Name = name
	return Resource(store.RouteType, name, routes)
}

func routesTo(prefix, cluster string) *routev3.RouteConfiguration {
	match := &routev3.RouteMatch{}
	if prefix != "" {
		match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: prefix}
	}
	return &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{
		Name:    "all",
		Domains: []string{"*"},
		Routes: []*routev3.Route{{
			Name:   "r",
			Match:  match,
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster}}},
		}},
	}}}
}

// Listener is one on 127.0.0.1 whose routes are scopes, or the RDS
// configuration named routes; with TLS where secrets are named.
func Listener(name string, port uint32, routes string, secrets ...string) routing.Resource {
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:  name,
		HttpFilters: []*hcmv3.HttpFilter{{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})}}},
	}
	if routes != "" {
		manager.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: ads(), RouteConfigName: routes}}
	} else {
		scoped(manager)
	}
	chain := &listenerv3.FilterChain{Filters: []*listenerv3.Filter{{
		Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(manager)},
	}}}
	if len(secrets) > 0 {
		tls := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{}}
		for _, secret := range secrets {
			tls.CommonTlsContext.TlsCertificateSdsSecretConfigs = append(tls.CommonTlsContext.TlsCertificateSdsSecretConfigs,
				&tlsv3.SdsSecretConfig{Name: secret, SdsConfig: ads()})
		}
		chain.TransportSocket = &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(tls)}}
	}
	return Resource(store.ListenerType, name, &listenerv3.Listener{
		Name: name,
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}}},
		FilterChains: []*listenerv3.FilterChain{chain},
	})
}

func scoped(manager *hcmv3.HttpConnectionManager) {
	manager.EarlyHeaderMutationExtensions = []*corev3.TypedExtensionConfig{{
		Name: "scope",
		TypedConfig: pack(&earlyv3.HeaderMutation{Mutations: []*mutationv3.HeaderMutation{{Action: &mutationv3.HeaderMutation_Append{
			Append: &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: "x-gw-scope", Value: "l0/%REQ(:AUTHORITY)%"},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			},
		}}}}),
	}}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcmv3.ScopedRoutes{
		Name:            "gw",
		RdsConfigSource: ads(),
		ScopeKeyBuilder: &hcmv3.ScopedRoutes_ScopeKeyBuilder{Fragments: []*hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{{
			Type: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
				HeaderValueExtractor: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
					Name: "x-gw-scope", ElementSeparator: ":",
					ExtractType: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{Index: 0},
				},
			},
		}}},
		ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRds{ScopedRds: &hcmv3.ScopedRds{ScopedRdsConfigSource: ads()}},
	}}
}

// Secret is a certificate whose private key is sealed.
func Secret(name string, chain, sealedKey []byte) routing.Resource {
	r := Resource(store.SecretType, name, &tlsv3.Secret{
		Name: name,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: chain}},
		}},
	})
	r.Sealed = sealedKey
	return r
}

// SliceEvent is an EndpointSlice of the Service ns/<service> with an unnamed
// port and ready addresses.
func SliceEvent(service string, port int32, addresses ...string) events.Event {
	slice := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: &port}},
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	}
	data, err := json.Marshal(slice)
	if err != nil {
		panic(err)
	}
	return events.Event{
		ID:   fmt.Sprintf("uid-%s/%d-%s", service, port, strings.Join(addresses, "-")),
		Type: events.ObjectApplied, Cluster: "c", Time: time.Unix(1, 0).UTC(), Data: data,
		Key: events.Key{Resource: events.EndpointSlices, Namespace: "ns", Name: slice.Name},
	}
}

func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(0),
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func pack(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return packed
}

package envoy

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/parameters"
	"github.com/rutter-gateway/rutter/projector/route"
)

const (
	tokenFilter  = "envoy.filters.http.jwt_authn"
	tenantFilter = "envoy.filters.http.rbac"
	// payload is where the claims of a token are in the metadata of its request.
	payload = "payload"
	// keysName is the cluster of the server with the keys. Those of Services have slashes.
	keysName = "token-keys"
)

// requireTokens lets only requests with a token pass, 401 without. It stands behind
// CORS, whose preflights carry none, and ahead of what tells tenants apart, which does
// nothing where no route asks for it.
//
// A filter that has the keys in it is a resource of its own, so that others in their place
// change no listener, and drain no connection. One that fetches them is in the listener:
// only there does Envoy wait for the first fetch.
func requireTokens(m *hcmv3.HttpConnectionManager, t *parameters.Tokens) {
	filter := &hcmv3.HttpFilter{Name: tokenFilter}
	if t.URL != "" {
		filter.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: fixed(authentication(t))}
	} else {
		filter.ConfigType = &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
			ConfigSource: ads(), TypeUrls: []string{"type.googleapis.com/" + string(proto.MessageName(&jwtv3.JwtAuthentication{}))},
		}}
	}
	router := len(m.HttpFilters) - 1
	m.HttpFilters = slices.Insert(m.HttpFilters, router, filter,
		&hcmv3.HttpFilter{Name: tenantFilter, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: fixed(&rbacv3.RBAC{})}},
	)
}

func authentication(t *parameters.Tokens) *jwtv3.JwtAuthentication {
	from := &jwtv3.JwtHeader{Name: t.Header}
	if strings.EqualFold(t.Header, "authorization") {
		from.ValuePrefix = "Bearer "
	}
	p := &jwtv3.JwtProvider{
		Issuer: t.Issuer, Audiences: t.Audiences, Forward: t.Forward, PayloadInMetadata: payload,
		// Named, so that no other place is looked at, such as the query.
		FromHeaders:       []*jwtv3.JwtHeader{from},
		RequireExpiration: true,
	}
	if t.URL == "" {
		p.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: t.Keys}}}
	} else {
		p.JwksSourceSpecifier = &jwtv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtv3.RemoteJwks{
			HttpUri: &corev3.HttpUri{
				Uri: t.URL, HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: keysName}, Timeout: durationpb.New(5 * time.Second),
			},
			// Ahead of the first request, and again before what was fetched is old.
			AsyncFetch: &jwtv3.JwksAsyncFetch{},
		}}
	}
	return &jwtv3.JwtAuthentication{
		Providers: map[string]*jwtv3.JwtProvider{"tenants": p},
		Rules: []*jwtv3.RequirementRule{{
			Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			RequirementType: &jwtv3.RequirementRule_Requires{Requires: &jwtv3.JwtRequirement{
				RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: "tenants"},
			}},
		}},
	}
}

// beside is what the listeners of a Gateway need to look at tokens: the server with the
// keys, or the filter that has them.
func beside(g *route.Gateway) (routing.Resource, error) {
	if g.Tokens.URL != "" {
		c := keysCluster(g.Tokens.URL)
		return resource(TypeCluster, c.Name, c, g.Key)
	}
	filter := &corev3.TypedExtensionConfig{Name: tokenFilter, TypedConfig: fixed(authentication(g.Tokens))}
	return resource(TypeExtension, filter.Name, filter, g.Key)
}

// onlyFor lets only requests of a tenant onto routes, 403 for those of others.
func onlyFor(routes []*routev3.Route, tenant *route.Tenant) {
	is := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: exact(tenant.ID)}}
	has := &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{
		MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: is},
	}}}
	of := func(value *matcherv3.ValueMatcher) *rbacconfigv3.Principal {
		return &rbacconfigv3.Principal{Identifier: &rbacconfigv3.Principal_SourcedMetadata{SourcedMetadata: &rbacconfigv3.SourcedMetadata{
			MetadataMatcher: &matcherv3.MetadataMatcher{
				Filter: tokenFilter, Value: value,
				Path: []*matcherv3.MetadataMatcher_PathSegment{
					{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: payload}},
					{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: tenant.Claim}},
				},
			},
		}}}
	}
	config := fixed(&rbacv3.RBACPerRoute{Rbac: &rbacv3.RBAC{Rules: &rbacconfigv3.RBAC{
		Action: rbacconfigv3.RBAC_ALLOW,
		Policies: map[string]*rbacconfigv3.Policy{tenant.ID: {
			Permissions: []*rbacconfigv3.Permission{{Rule: &rbacconfigv3.Permission_Any{Any: true}}},
			Principals:  []*rbacconfigv3.Principal{of(is), of(has)},
		}},
	}}})
	for _, r := range routes {
		if r.TypedPerFilterConfig == nil {
			r.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		r.TypedPerFilterConfig[tenantFilter] = config
	}
}

// keysCluster is the server with the keys, a URL that package route has checked.
func keysCluster(text string) *clusterv3.Cluster {
	at, err := url.Parse(text)
	if err != nil {
		panic("envoy: a URL that was checked is none: " + err.Error())
	}
	host, port := at.Hostname(), uint32(80)
	if at.Scheme == "https" {
		port = 443
	}
	if named, err := strconv.ParseUint(at.Port(), 10, 16); err == nil {
		port = uint32(named)
	}
	c := &clusterv3.Cluster{
		Name: keysName, ConnectTimeout: durationpb.New(5 * time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		DnsLookupFamily:      clusterv3.Cluster_V4_PREFERRED,
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: keysName, Endpoints: []*endpointv3.LocalityLbEndpoints{{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
				}}},
			}}}},
		}}},
	}
	if net.ParseIP(host) != nil {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	}
	if at.Scheme == "https" {
		kind, sni := tlsv3.SubjectAltNameMatcher_DNS, host
		if net.ParseIP(host) != nil {
			kind, sni = tlsv3.SubjectAltNameMatcher_IP_ADDRESS, "" // no name is an address (RFC 6066, section 3)
		}
		c.TransportSocket = &corev3.TransportSocket{Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{
			TypedConfig: fixed(&tlsv3.UpstreamTlsContext{Sni: sni, CommonTlsContext: &tlsv3.CommonTlsContext{
				TlsParams: tlsVersions(),
				ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
					TrustedCa:                 &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: systemAuthorities}},
					MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{SanType: kind, Matcher: exact(host)}},
				}},
			}}),
		}}
	}
	return c
}

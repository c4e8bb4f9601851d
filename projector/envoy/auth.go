package envoy

import (
	"fmt"
	"time"

	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	authzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rutter-gateway/rutter/projector/route"
)

// Filters of listeners come ahead of all that routes configure, in the order in which
// the listener has them. Listeners of one port share a chain, so each filter runs for the
// hosts of its own listener only: their routes, the last of which answers 404 where none
// matches, carry the listener's name, which [listenerScript] hands to the filters. Names
// are taken from the route and not from the request, so that a host that is spelled in an unusual
// way meets the filters of the listener whose rules it meets, and no others.
const (
	listenerFilter = "rutter.listener"
	listenerName   = "listener"
	authTimeout    = 10 * time.Second
)

// listenerScript reads the name of the listener from the route, which makes Envoy
// select one.
const listenerScript = `
function envoy_on_request(handle)
  local name = handle:metadata():get("` + listenerName + `")
  if name ~= nil then
    handle:streamInfo():dynamicMetadata():set("` + listenerFilter + `", "` + listenerName + `", name)
  end
end
`

// selecting makes the routes of a listener tell whose they are.
func selecting(routes []*routev3.Route, listener string) {
	for _, r := range routes {
		r.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			listenerFilter: {Fields: map[string]*structpb.Value{listenerName: structpb.NewStringValue(listener)}},
		}}
	}
}

// authFilters are those of all listeners of a chain.
func authFilters(chain *route.Chain) ([]*hcmv3.HttpFilter, error) {
	if len(chain.Auth) == 0 {
		return nil, nil
	}
	filters := []*hcmv3.HttpFilter{{
		Name: listenerFilter,
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: fixed(&luav3.Lua{DefaultSourceCode: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: listenerScript},
		}})},
	}}
	for _, auth := range chain.Auth {
		for i := range auth.Filters {
			config, err := anyOf(externalAuth(auth.Listener, &auth.Filters[i]))
			if err != nil {
				return nil, err
			}
			filters = append(filters, &hcmv3.HttpFilter{
				Name:       fmt.Sprintf("auth/%s/%d", auth.Listener, i),
				ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: config},
			})
		}
	}
	return filters, nil
}

// externalAuth asks a server (HTTPExternalAuthFilter). One that cannot be reached lets
// nobody in.
func externalAuth(listener string, auth *route.ExternalAuth) *authzv3.ExtAuthz {
	out := &authzv3.ExtAuthz{
		TransportApiVersion: corev3.ApiVersion_V3,
		// What the server says of the request may decide which route it meets.
		ClearRouteCache:            true,
		ValidateMutations:          true,
		AllowedHeaders:             anyOfNames(auth.RequestHeaders),
		DisallowedHeaders:          anyOfNames([]string{scopeHeader}),
		DecoderHeaderMutationRules: mutable(),
		FilterEnabledMetadata: &matcherv3.MetadataMatcher{
			Filter: listenerFilter,
			Path:   []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: listenerName}}},
			Value:  &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: exact(listener)}},
		},
	}
	if auth.MaxBody > 0 {
		// A larger one gets 413: half of a body is nothing to decide by.
		out.WithRequestBody = &authzv3.BufferSettings{MaxRequestBytes: auth.MaxBody}
	}
	if auth.GRPC {
		out.Services = &authzv3.ExtAuthz_GrpcService{GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: auth.Cluster}},
			Timeout:         durationpb.New(authTimeout),
		}}
		return out
	}
	copied := anyOfNames(auth.ResponseHeaders)
	if copied == nil {
		copied = &matcherv3.ListStringMatcher{Patterns: []*matcherv3.StringMatcher{matching("[^:].*")}}
	}
	out.Services = &authzv3.ExtAuthz_HttpService{HttpService: &authzv3.HttpService{
		ServerUri: &corev3.HttpUri{
			Uri:              "http://auth.invalid", // the cluster says where, the request which host
			HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: auth.Cluster},
			Timeout:          durationpb.New(authTimeout),
		},
		PathPrefix:            auth.Prefix,
		AuthorizationResponse: &authzv3.AuthorizationResponse{AllowedUpstreamHeaders: copied},
	}}
	return out
}

// mutable is what a server may change of a request: not for which host it is (neither
// the one that it names nor the one by which scopes are chosen), and nothing about how
// its body is framed. Attempts are ignored (ListenerFilters.requests).
func mutable() *mutationrulesv3.HeaderMutationRules {
	return &mutationrulesv3.HeaderMutationRules{
		AllowExpression:    &matcherv3.RegexMatcher{Regex: "(?i)^:(method|path)$"},
		DisallowExpression: &matcherv3.RegexMatcher{Regex: "(?i)^(host|:authority|:scheme|" + scopeHeader + "|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|proxy-connection)$"},
	}
}

// anyOfNames matches headers by their names; nil for none.
func anyOfNames(names []string) *matcherv3.ListStringMatcher {
	if len(names) == 0 {
		return nil
	}
	out := &matcherv3.ListStringMatcher{}
	for _, name := range names {
		out.Patterns = append(out.Patterns, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}, IgnoreCase: true})
	}
	return out
}

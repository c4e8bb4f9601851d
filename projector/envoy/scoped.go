package envoy

import (
	"cmp"
	"strings"

	mutationrulesv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

// The scoped layout: one ScopedRouteConfiguration per hostname of a chain, with
// its routes inline, so that a change costs Envoy what that one hostname costs.
// The scope of a request is <chain>/<host>, which travels in a header, ahead of a
// colon: behind it stand the port that the client named, if any, and the hostname of
// the chain.
const (
	scopeHeader   = "x-rutter-scope"
	scopeFallback = "scope-fallback"
)

// fallbackScript runs where no scope matched, which is on requests that spell
// their host in an unusual way (upper case, trailing dot, an IPv6 literal), that
// belong to a wildcard host, or to none. What the chain's own hostname does not cover
// may be another listener's, of the port. Reading metadata() makes Envoy select a
// route again; every route has a name, so a name tells that a scope was found.
const fallbackScript = `
local name = "` + scopeHeader + `"

local function covers(pattern, host)
  if pattern == "*" or pattern == host then return true end
  local suffix = pattern:match("^%*(.*)$")
  return suffix ~= nil and #host > #suffix and host:sub(-#suffix) == suffix
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local scope = headers:get(name)
  if scope == nil then return end
  local chain, host, server = scope:match("^([^/]*)/(.*):([^:]*)$")
  if chain == nil then return end
  local lower = host:lower()
  if not covers(server, (lower:gsub(":[^:%]]*$", ""):gsub("%.$", ""))) then
    headers:replace(name, (chain:match("^https%-%d+") or chain) .. "/*")
    handle:clearRouteCache()
    return
  end
  local usual = lower:gsub(":%d*$", ""):gsub("%.$", "")
  if usual ~= host then
    headers:replace(name, chain .. "/" .. usual)
    handle:clearRouteCache()
    handle:metadata()
    local route = handle:streamInfo():routeName()
    if route ~= nil and route ~= "" then return end
  end
  headers:replace(name, chain .. "/*")
  handle:clearRouteCache()
end
`

// scopeHost is the part of a scope's name that stands for a host. All wildcard hosts of
// a chain are in one scope, where the longest suffix wins, and all of
// [route.MisdirectedChain].
func scopeHost(id route.HostID) string {
	if strings.HasPrefix(id.Hostname, "*") || route.IsMisdirected(id.Chain) {
		return "*"
	}
	return id.Hostname
}

// selectScopes makes a connection manager choose routes by scope. All but the
// chain's name is identical everywhere, so that all chains share one subscription.
func selectScopes(m *hcmv3.HttpConnectionManager, chain *route.Chain) {
	m.EarlyHeaderMutationExtensions = []*corev3.TypedExtensionConfig{{
		Name: "envoy.http.early_header_mutation.header_mutation",
		// Overwrites whatever a client sent in this header.
		TypedConfig: fixed(&earlyv3.HeaderMutation{Mutations: []*mutationrulesv3.HeaderMutation{{
			Action: &mutationrulesv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
				Header:       &corev3.HeaderValue{Key: scopeHeader, Value: chain.ID + "/%REQ(:AUTHORITY)%:" + cmp.Or(chain.ServerName, "*")},
				AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
			}},
		}}}),
	}}
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_ScopedRoutes{ScopedRoutes: &hcmv3.ScopedRoutes{
		Name:            "rutter",
		RdsConfigSource: ads(),
		ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRds{ScopedRds: &hcmv3.ScopedRds{ScopedRdsConfigSource: ads()}},
		ScopeKeyBuilder: &hcmv3.ScopedRoutes_ScopeKeyBuilder{
			Fragments: []*hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{{
				Type: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
					HeaderValueExtractor: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
						Name:             scopeHeader,
						ElementSeparator: ":", // what follows is the port
						ExtractType:      &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{Index: 0},
					},
				},
			}},
		},
	}}
	fallback := &hcmv3.HttpFilter{
		Name: scopeFallback,
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: fixed(&luav3.Lua{DefaultSourceCode: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: fallbackScript},
		}})},
	}
	m.HttpFilters = append([]*hcmv3.HttpFilter{fallback}, m.HttpFilters...)
}

// scope is the output of an exact hostname, or of all wildcard hosts of a chain.
func (b *builder) scope(id OutputID) ([]routing.Resource, error) {
	chainID, hostname, _ := strings.Cut(id.Name, "/")
	g, chain := b.chain(id.Gateway, chainID, route.LayoutScoped)
	misdirected := route.IsMisdirected(chainID)
	if g == nil || layoutOf(g) != route.LayoutScoped || chain == nil && !misdirected {
		return nil, nil
	}
	var hosts []*virtualHost
	if hostname == "*" {
		for _, h := range b.tables.Hosts(id.Gateway, chainID) {
			if scopeHost(h.ID) == "*" {
				hosts = append(hosts, &virtualHost{host: h})
			}
		}
		// That of a chain exists even when it is empty: Envoy waits for the first scope
		// before it serves.
		if misdirected && len(hosts) == 0 {
			return nil, nil
		}
	} else {
		h := b.tables.Host(route.HostID{Gateway: id.Gateway, Chain: chainID, Hostname: hostname})
		if h == nil {
			return nil, nil
		}
		hosts = []*virtualHost{{host: h, final: true}}
	}
	config, problem := routeConfiguration(id.Name, chain, hosts)
	config.TypedPerFilterConfig = map[string]*anypb.Any{scopeFallback: fixed(&routev3.FilterConfig{Disabled: true})}
	scope := &routev3.ScopedRouteConfiguration{
		Name:               id.Name,
		RouteConfiguration: config,
		Key: &routev3.ScopedRouteConfiguration_Key{Fragments: []*routev3.ScopedRouteConfiguration_Key_Fragment{{
			Type: &routev3.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: id.Name},
		}}},
	}
	return mended(config, problem, func() (routing.Resource, error) { return resource(TypeScope, id.Name, scope, originOf(g, hosts)) })
}

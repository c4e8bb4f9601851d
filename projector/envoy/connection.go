package envoy

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/projector/route"
)

// streamIdle ends a stream on which nothing moves. It is what remains for a rule
// that names no timeout: HTTPRouteTimeouts leaves that case to us, and a limit on
// the whole of a request would cut healthy downloads and streams.
const streamIdle = 5 * time.Minute

// maxHeaders of a request, and how large all are together. They are Envoy's own today; said
// here, they stay what is documented.
const (
	maxHeaders    = 100
	maxHeadersKiB = 60
)

// corsFilter is the name under which routes configure the CORS filter.
const corsFilter = "envoy.filters.http.cors"

// connectionManager is how a chain speaks HTTP. Where Envoy's "Configuring Envoy
// as an edge proxy" asks for more than the defaults, it is followed, but for:
//
//   - headers with underscores pass;
//   - there is no limit on receiving a whole request: uploads and streams.
//
// Everything here is the same for every chain, but for names, what becomes of the
// certificates of clients, and the filters of listeners: no route ever changes, and so drains, a listener.
func connectionManager(g *route.Gateway, chain *route.Chain) (*hcmv3.HttpConnectionManager, error) {
	auth, err := authFilters(chain)
	if err != nil {
		return nil, err
	}
	m := &hcmv3.HttpConnectionManager{
		StatPrefix: chain.ID,
		AccessLog:  accessLogs(g),
		// The client is who connects; what it says in X-Forwarded-For is not believed.
		UseRemoteAddress: wrapperspb.Bool(true),
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			// Clients that went without a word do not hold connections for ever.
			IdleTimeout: durationpb.New(time.Hour),
			// Each header costs memory and time beyond its bytes; more are answered 431.
			MaxHeadersCount: wrapperspb.UInt32(maxHeaders),
			// HTTPHeaderName allows them, so a match on one must be able to hold.
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_ALLOW,
		},
		// Headers are held whole until a route is known; more are answered 431.
		MaxRequestHeadersKb: wrapperspb.UInt32(maxHeadersKiB),
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			// What one connection can ask for at once, so that a few cannot ask for all there is.
			MaxConcurrentStreams: wrapperspb.UInt32(100),
			// What a stream, and a connection, may send ahead of what the backend takes: memory.
			InitialStreamWindowSize:     wrapperspb.UInt32(64 << 10),
			InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
		},
		// A stream on which nothing moves holds buffers here and a request at the backend.
		StreamIdleTimeout: durationpb.New(streamIdle),
		// Headers that come drop by drop ("slow loris") cost the sender nothing; 408.
		RequestHeadersTimeout: durationpb.New(10 * time.Second),
		// Rules see the path that backends will see: without ".", ".." and "//", none of
		// which an HTTPPathMatch may contain, so no match is lost, only ways around one.
		NormalizePath: wrapperspb.Bool(true),
		MergeSlashes:  true,
		// A backend may take "%2F" for "/": the client is sent to the path that was matched.
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT,
		// example.com. is example.com (RFC 1034, section 3.1).
		StripTrailingHostDot: true,
		// Backends name their server, or do not; the proxy has no say in it.
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		// There are servers that refuse an HTTP/2 request whose :scheme is not that of its
		// connection. What the client used is in X-Forwarded-Proto.
		SchemeHeaderTransformation: &corev3.SchemeHeaderTransformation{MatchUpstream: true},
		UpgradeConfigs:             []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
		HttpFilters: []*hcmv3.HttpFilter{
			// Does nothing on a route without a policy. It must not be disabled until a route
			// enables it: which filters run is settled by the route that is selected first,
			// and scope-fallback may select another.
			{Name: corsFilter, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: fixed(&corsv3.Cors{})}},
			{Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: fixed(&routerv3.Router{})}},
		},
	}
	m.HttpFilters = append(auth, m.HttpFilters...)
	// What a client sends in X-Forwarded-Client-Cert is always removed.
	if chain.Clients != nil && !chain.Clients.Optional {
		// Only what was validated is vouched for; the hash is always in it.
		m.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
		m.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{
			Subject: wrapperspb.Bool(true), Uri: true, Dns: true,
		}
	}
	overrideEdge(m, &g.Edge)
	if g.Tokens != nil {
		requireTokens(m, g.Tokens)
	}
	if layoutOf(g) == route.LayoutScoped {
		selectScopes(m, chain)
		return m, nil
	}
	m.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: ads(), RouteConfigName: chain.ID}}
	return m, nil
}

// ads is the one source of every resource. Without the timeout of 0 Envoy would
// go on after 15 s with a part of its configuration.
func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(0),
	}
}

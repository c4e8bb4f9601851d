package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

// overrideEdge applies what a class says otherwise about clients.
func overrideEdge(m *hcmv3.HttpConnectionManager, e *parameters.Edge) {
	m.XffNumTrustedHops = e.TrustedHops
	if e.IdleTimeout != nil {
		m.CommonHttpProtocolOptions.IdleTimeout = durationpb.New(*e.IdleTimeout)
	}
	if e.StreamIdleTimeout != nil {
		m.StreamIdleTimeout = durationpb.New(*e.StreamIdleTimeout)
	}
	if e.RequestHeadersTimeout != nil {
		m.RequestHeadersTimeout = durationpb.New(*e.RequestHeadersTimeout)
	}
	if e.MaxConcurrentStreams != nil {
		m.Http2ProtocolOptions.MaxConcurrentStreams = wrapperspb.UInt32(*e.MaxConcurrentStreams)
	}
	if e.MaxRequestHeaders != nil {
		m.CommonHttpProtocolOptions.MaxHeadersCount = wrapperspb.UInt32(*e.MaxRequestHeaders)
	}
	if e.MaxRequestHeadersKiB != nil {
		m.MaxRequestHeadersKb = wrapperspb.UInt32(*e.MaxRequestHeadersKiB)
	}
	if action, ok := map[v1alpha1.EscapedSlashes]hcmv3.HttpConnectionManager_PathWithEscapedSlashesAction{
		v1alpha1.SlashesKeep: hcmv3.HttpConnectionManager_KEEP_UNCHANGED, v1alpha1.SlashesReject: hcmv3.HttpConnectionManager_REJECT_REQUEST,
		v1alpha1.SlashesUnescapeAndRedirect: hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT,
		v1alpha1.SlashesUnescapeAndForward:  hcmv3.HttpConnectionManager_UNESCAPE_AND_FORWARD,
	}[e.EscapedSlashes]; ok {
		m.PathWithEscapedSlashesAction = action
	}
	if action, ok := map[v1alpha1.Underscores]corev3.HttpProtocolOptions_HeadersWithUnderscoresAction{
		v1alpha1.UnderscoresReject: corev3.HttpProtocolOptions_REJECT_REQUEST, v1alpha1.UnderscoresDrop: corev3.HttpProtocolOptions_DROP_HEADER,
	}[e.HeadersWithUnderscores]; ok {
		m.CommonHttpProtocolOptions.HeadersWithUnderscoresAction = action
	}
}

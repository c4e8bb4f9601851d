package envoy

import (
	"math"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

const upstreamOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// cluster is the output of a Service port as a Gateway reaches it. Where its
// endpoints are comes by EDS: a change of the cluster itself would drop its
// connections.
func (b *builder) cluster(id OutputID) ([]routing.Resource, error) {
	c := b.tables.Cluster(route.ClusterID{Gateway: id.Gateway, Name: id.Name})
	if c == nil {
		return nil, nil
	}
	out := &clusterv3.Cluster{
		Name:                 id.Name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: ads(), ServiceName: c.Endpoints},
		ConnectTimeout:       durationpb.New(5 * time.Second),
		LbPolicy:             clusterv3.Cluster_LEAST_REQUEST,
		// What Kubernetes no longer lists is gone, whatever a health check said last.
		IgnoreHealthOnHostRemoval:     true,
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(bufferLimit),
		CircuitBreakers:               unlimited(),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{upstreamOptions: fixed(protocol(c.Protocol))},
	}
	if c.TLS != nil {
		var err error
		if out.TransportSocket, err = secured(c); err != nil {
			return nil, err
		}
	}
	r, err := resource(TypeCluster, id.Name, out, c.Service)
	if err != nil {
		return nil, err
	}
	return []routing.Resource{r}, nil
}

// unlimited switches off Envoy's limits per cluster. No object of the Gateway API
// asks for them, and the defaults (1,024 requests, 3 retries at a time) turn load
// into 503s that nobody configured.
func unlimited() *clusterv3.CircuitBreakers {
	none := wrapperspb.UInt32(math.MaxUint32)
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections: none, MaxPendingRequests: none, MaxRequests: none, MaxRetries: none,
	}}}
}

// protocol is what to speak to the backend: HTTP/2 where the Service says so
// (kubernetes.io/h2c), otherwise HTTP/1.1, which takes WebSocket upgrades too.
func protocol(p route.Protocol) *upstreamv3.HttpProtocolOptions {
	explicit := &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
			HttpProtocolOptions: &corev3.Http1ProtocolOptions{},
		},
	}
	if p == route.H2C {
		explicit.ProtocolConfig = &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
			Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
		}
	}
	return &upstreamv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
}

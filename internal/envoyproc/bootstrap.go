package envoyproc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

const (
	// xdsCluster is the one cluster that is not sent by the xDS server.
	xdsCluster = "xds"
	// maxExpression is the largest regular expression, in RE2 instructions: more than
	// fit into RE2's own limit of memory, so that only that one counts. Envoy's
	// default of 100 refuses an expression for a UUID.
	maxExpression = 1_000_000
)

// keptStatistics is everything but the statistics of clusters, of which four are
// kept: all of them are half of Envoy's memory at thousands of clusters.
const keptStatistics = `[^c].*|c[^l].*|cl[^u].*|cluster_.*|cluster\.` + xdsCluster + `\..*|` +
	`cluster\..*\.(?:upstream_rq_total|upstream_rq_5xx|upstream_rq_active|upstream_cx_connect_fail)`

// writeBootstrap writes what Envoy starts with.
func writeBootstrap(cfg *Config) error {
	b, err := Bootstrap(cfg)
	if err != nil {
		return err
	}
	data, err := Encode(b)
	if err != nil {
		return err
	}
	if err := os.WriteFile(cfg.bootstrapFile(), data, 0o600); err != nil {
		return fmt.Errorf("write bootstrap: %w", err)
	}
	return nil
}

// Encode is a message in the form in which Envoy reads files. The same message is
// always the same bytes: protojson alone puts in spaces at random.
func Encode(m proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", proto.MessageName(m), err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return nil, fmt.Errorf("encode %s: %w", proto.MessageName(m), err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Bootstrap is what an Envoy of cfg starts with: who it is, where the xDS server
// is, an admin interface that only its own machine reaches, and limits.
func Bootstrap(cfg *Config) (*bootstrapv3.Bootstrap, error) {
	xds, err := xdsServer(cfg.XDS)
	if err != nil {
		return nil, err
	}
	if cfg.TLS != nil {
		if xds.TransportSocket, err = cfg.TLS.transportSocket(cfg.XDS); err != nil {
			return nil, err
		}
	}
	overload, err := overloadManager(cfg)
	if err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{
		Node:             &corev3.Node{Id: cfg.NodeID, Cluster: cfg.Gateway},
		Admin:            &bootstrapv3.Admin{Address: pipe(cfg.AdminSocket())},
		StaticResources:  &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{xds}},
		DynamicResources: dynamicResources(),
		OverloadManager:  overload,
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
			Name: "static",
			LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
				"re2.max_program_size.error_level": structpb.NewNumberValue(maxExpression),
			}}},
		}}},
		StatsConfig: &metricsv3.StatsConfig{StatsMatcher: &metricsv3.StatsMatcher{
			StatsMatcher: &metricsv3.StatsMatcher_InclusionList{InclusionList: &matcherv3.ListStringMatcher{
				Patterns: []*matcherv3.StringMatcher{{
					MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: keptStatistics}},
				}},
			}},
		}},
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	return b, nil
}

// dynamicResources come on one delta stream. The timeouts of 0 make Envoy wait
// for all of its configuration instead of starting with a part of it.
func dynamicResources() *bootstrapv3.Bootstrap_DynamicResources {
	ads := &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
		InitialFetchTimeout:   durationpb.New(0),
	}
	return &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: ads,
		CdsConfig: ads,
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xdsCluster},
			}}},
			SetNodeOnFirstMessageOnly: true,
		},
	}
}

// xdsServer is the cluster of the xDS server, with keep-alives that notice a
// server that is gone without a word.
func xdsServer(target string) (*clusterv3.Cluster, error) {
	address, discovery, err := parseTarget(target)
	if err != nil {
		return nil, err
	}
	options, err := anypb.New(&upstreamv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{ConnectionKeepalive: &corev3.KeepaliveSettings{
						Interval: durationpb.New(10 * time.Second), Timeout: durationpb.New(5 * time.Second),
					}},
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return &clusterv3.Cluster{
		Name:                 xdsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discovery},
		ConnectTimeout:       durationpb.New(time.Second),
		DnsLookupFamily:      clusterv3.Cluster_V4_PREFERRED, // and IPv6 where a name has nothing else
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: xdsCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
			}}}},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
	}, nil
}

func parseTarget(target string) (*corev3.Address, clusterv3.Cluster_DiscoveryType, error) {
	if strings.Contains(target, "/") {
		return pipe(target), clusterv3.Cluster_STATIC, nil
	}
	host, text, err := net.SplitHostPort(target)
	if err != nil {
		return nil, 0, fmt.Errorf("address of the xDS server %q is neither the path of a socket nor host:port: %w", target, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("address of the xDS server %q: %w", target, err)
	}
	discovery := clusterv3.Cluster_STRICT_DNS
	if net.ParseIP(host) != nil {
		discovery = clusterv3.Cluster_STATIC
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}, discovery, nil
}

func pipe(path string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
}

package bench

import (
	"context"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Types that the client subscribes to as a whole.
const (
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	routeType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	scopeType    = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
)

// arrival is a resource that the xDS server sent, and when it was there.
type arrival struct {
	kind, name string
	at         time.Time
}

// follow is an Envoy that does nothing but acknowledge: it stands for the moment
// at which Envoy is told. It reports every resource until ctx ends.
func follow(ctx context.Context, socket, gateway string, routes []string, arrivals chan<- arrival) error {
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	node := &corev3.Node{Id: "bench", Cluster: gateway}
	for _, kind := range []string{clusterType, listenerType, scopeType} {
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: kind}); err != nil {
			return err
		}
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: routeType, ResourceNamesSubscribe: routes}); err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		at := time.Now()
		for _, r := range response.GetResources() {
			select {
			case arrivals <- arrival{response.GetTypeUrl(), r.GetName(), at}:
			case <-ctx.Done():
				return nil
			}
		}
		if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce()}); err != nil {
			return err
		}
	}
}

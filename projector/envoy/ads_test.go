package envoy

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rutter-gateway/rutter/events/routing"
)

// adsServer answers delta requests from a fixed set of resources. A refusal by
// Envoy fails the test.
type adsServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	t         testing.TB
	resources map[string][]routing.Resource // by type
}

// serveADS serves resources on a socket in dir, whose path it returns.
func serveADS(t testing.TB, dir string, resources []routing.Resource) string {
	t.Helper()
	s := &adsServer{t: t, resources: map[string][]routing.Resource{}}
	for _, r := range resources {
		s.resources[r.Type] = append(s.resources[r.Type], r)
	}
	path := filepath.Join(dir, "xds.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	return path
}

func (s *adsServer) DeltaAggregatedResources(stream grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]) error {
	known := map[string]bool{}
	for nonce := 1; ; nonce++ {
		request, err := stream.Recv()
		if err != nil {
			return nil // Envoy is gone
		}
		if request.ErrorDetail != nil {
			s.t.Errorf("Envoy refuses %s: %s", request.TypeUrl, request.ErrorDetail.Message)
		}
		wanted := map[string]bool{}
		for _, name := range request.ResourceNamesSubscribe {
			wanted[name] = true
		}
		all := len(wanted) == 0 && !known[request.TypeUrl] || wanted["*"]
		known[request.TypeUrl] = true
		if len(wanted) == 0 && !all {
			continue // an acknowledgement
		}
		response := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: request.TypeUrl, Nonce: strconv.Itoa(nonce)}
		for _, r := range s.resources[request.TypeUrl] {
			if all || wanted[r.Name] {
				response.Resources = append(response.Resources, &discoveryv3.Resource{
					Name: r.Name, Version: r.Digest.Short(), Resource: &anypb.Any{TypeUrl: r.Type, Value: r.Body},
				})
				delete(wanted, r.Name)
			}
		}
		for name := range wanted {
			if name != "*" {
				response.RemovedResources = append(response.RemovedResources, name)
			}
		}
		if err := stream.Send(response); err != nil {
			return nil
		}
	}
}

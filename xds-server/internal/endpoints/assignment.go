package endpoints

import (
	"cmp"
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
)

// Assignment is where the traffic of one Service port may go.
type Assignment struct {
	// Name is <namespace>/<service>/<port name or "-">.
	Name string
	// Digest is over Body, the serialised ClusterLoadAssignment.
	Digest routing.Digest
	Body   []byte
	// Gone is set when no slice speaks of the name any more; Body is then empty of
	// endpoints, and remains the right answer for a cluster that still asks.
	Gone bool
}

// Empty is the assignment of a name that no slice speaks of.
func Empty(name string) Assignment {
	a := build(name, nil)
	a.Gone = true
	return a
}

// place is one address and port, with the conditions it was found under.
type place struct {
	zone, address string
	port          uint32
	udp           bool
	ready         bool
}

func (p place) compare(o place) int {
	return cmp.Or(
		cmp.Compare(p.zone, o.zone),
		cmp.Compare(p.address, o.address),
		cmp.Compare(p.port, o.port),
		cmp.Compare(p.protocol(), o.protocol()),
	)
}

func (p place) protocol() corev3.SocketAddress_Protocol {
	if p.udp {
		return corev3.SocketAddress_UDP
	}
	return corev3.SocketAddress_TCP
}

// build applies the rules of kube-proxy to the places of one Service port: the
// ready ones; where there is none, those that are draining.
func build(name string, places []place) Assignment {
	places = eligible(places)
	assignment := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	for start := 0; start < len(places); {
		zone := places[start].zone
		locality := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{Zone: zone}}
		for start < len(places) && places[start].zone == zone {
			locality.LbEndpoints = append(locality.LbEndpoints, lbEndpoint(places[start]))
			start++
		}
		assignment.Endpoints = append(assignment.Endpoints, locality)
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(assignment)
	if err != nil {
		panic(fmt.Sprintf("endpoints: an assignment of %s holds valid strings only: %v", name, err))
	}
	return Assignment{Name: name, Digest: routing.DigestOf(body), Body: body}
}

// eligible is the places that take traffic, each once, in order.
func eligible(places []place) []place {
	anyReady := slices.ContainsFunc(places, func(p place) bool { return p.ready })
	out := slices.DeleteFunc(slices.Clone(places), func(p place) bool { return anyReady && !p.ready })
	slices.SortFunc(out, place.compare)
	// The same endpoint may be in two slices while it moves between them, and then
	// perhaps with two zones: the first in order stays.
	type socket struct {
		address  string
		port     uint32
		protocol corev3.SocketAddress_Protocol
	}
	seen := make(map[socket]bool, len(out))
	return slices.DeleteFunc(out, func(p place) bool {
		s := socket{p.address, p.port, p.protocol()}
		twice := seen[s]
		seen[s] = true
		return twice
	})
}

func lbEndpoint(p place) *endpointv3.LbEndpoint {
	return &endpointv3.LbEndpoint{
		HealthStatus: corev3.HealthStatus_HEALTHY,
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Protocol:      p.protocol(),
				Address:       p.address,
				PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: p.port},
			}}},
		}},
	}
}

package endpoints

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Slice is what matters of one EndpointSlice.
type Slice struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Service   string     `json:"service"`
	Ports     []Port     `json:"ports,omitempty"`
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

// Port is a port of every endpoint of a slice.
type Port struct {
	// Name is "-" for an unnamed port.
	Name   string `json:"name"`
	Number uint32 `json:"number"`
	UDP    bool   `json:"udp,omitempty"`
}

// Endpoint is one address and the conditions under which it takes traffic.
type Endpoint struct {
	Address string `json:"address"`
	Zone    string `json:"zone,omitempty"`
	Ready   bool   `json:"ready,omitempty"`
	// Draining endpoints are terminating but still serve: they take traffic when
	// nothing is ready.
	Draining bool `json:"draining,omitempty"`
}

// unnamedPort stands for a port name that is empty.
const unnamedPort = "-"

// parse reads the JSON of an EndpointSlice.
func parse(namespace, name string, data []byte) (Slice, error) {
	if !utf8.ValidString(namespace) {
		return Slice{}, fmt.Errorf("read endpointslice %q/%s: the namespace is not UTF-8", namespace, name)
	}
	var in discoveryv1.EndpointSlice
	if err := json.Unmarshal(data, &in); err != nil {
		return Slice{}, fmt.Errorf("read endpointslice %s/%s: %w", namespace, name, err)
	}
	out := Slice{Namespace: namespace, Name: name, Service: in.Labels[discoveryv1.LabelServiceName]}
	if in.AddressType == discoveryv1.AddressTypeFQDN {
		return out, nil
	}
	for _, p := range in.Ports {
		if port, ok := portOf(p); ok {
			out.Ports = append(out.Ports, port)
		}
	}
	for _, e := range in.Endpoints {
		if endpoint, ok := endpointOf(e); ok {
			out.Endpoints = append(out.Endpoints, endpoint)
		}
	}
	return out, nil
}

func portOf(p discoveryv1.EndpointPort) (Port, bool) {
	port := Port{Name: unnamedPort}
	if p.Name != nil && *p.Name != "" {
		port.Name = *p.Name
	}
	if p.Protocol != nil {
		switch *p.Protocol {
		case corev1.ProtocolTCP:
		case corev1.ProtocolUDP:
			port.UDP = true
		default:
			return Port{}, false
		}
	}
	// Without a number the port means "all ports", which names no place to connect to.
	if p.Port == nil || *p.Port <= 0 || *p.Port > 65535 {
		return Port{}, false
	}
	port.Number = uint32(*p.Port)
	return port, true
}

// endpointOf reads an endpoint; false when it takes no traffic whatever the
// others are. Unset conditions: ready is true, serving is as ready, terminating
// is false. Addresses beyond the first are the same endpoint again.
func endpointOf(e discoveryv1.Endpoint) (Endpoint, bool) {
	ready := e.Conditions.Ready == nil || *e.Conditions.Ready
	serving := ready
	if e.Conditions.Serving != nil {
		serving = *e.Conditions.Serving
	}
	terminating := e.Conditions.Terminating != nil && *e.Conditions.Terminating
	draining := serving && terminating
	if len(e.Addresses) == 0 || !ready && !draining {
		return Endpoint{}, false
	}
	// Envoy refuses the whole response for one address that is none.
	if _, err := netip.ParseAddr(e.Addresses[0]); err != nil {
		return Endpoint{}, false
	}
	out := Endpoint{Address: e.Addresses[0], Ready: ready, Draining: draining}
	if e.Zone != nil {
		out.Zone = *e.Zone
	}
	return out, true
}

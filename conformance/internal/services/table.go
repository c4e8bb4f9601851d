package services

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// frontend is an address that clients connect to.
type frontend struct {
	address  netip.AddrPort
	protocol corev1.Protocol
}

// table returns where the connections to each address of a Service go. An address
// without any endpoint is not in it.
func table(service *corev1.Service, endpoints []*discoveryv1.EndpointSlice) map[frontend][]netip.AddrPort {
	addresses := addressesOf(service)
	result := make(map[frontend][]netip.AddrPort)
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		backends := backendsOf(port, endpoints)
		if len(backends) == 0 {
			continue
		}
		for _, address := range addresses {
			result[frontend{netip.AddrPortFrom(address, uint16(port.Port)), port.Protocol}] = backends
		}
	}
	return result
}

// addressesOf are all addresses of a Service that are served here.
func addressesOf(service *corev1.Service) []netip.Addr {
	var found []string
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		found = append(found, service.Spec.ClusterIPs...)
	}
	found = append(found, service.Spec.ExternalIPs...)
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		found = append(found, ingress.IP)
	}
	var addresses []netip.Addr
	for _, text := range found {
		if address, err := netip.ParseAddr(text); err == nil && !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// backendsOf are the endpoints of one port: those that are ready, or, when all are
// about to end, those that still serve.
func backendsOf(port *corev1.ServicePort, endpoints []*discoveryv1.EndpointSlice) []netip.AddrPort {
	var ready, ending []netip.AddrPort
	for _, slice := range endpoints {
		number := portOf(port, slice)
		if number == 0 {
			continue
		}
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			for _, text := range endpoint.Addresses {
				address, err := netip.ParseAddr(text)
				if err != nil {
					continue
				}
				backend := netip.AddrPortFrom(address, number)
				switch conditions := endpoint.Conditions; {
				case conditions.Ready == nil || *conditions.Ready:
					ready = append(ready, backend)
				case isTrue(conditions.Serving) && isTrue(conditions.Terminating):
					ending = append(ending, backend)
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.SortFunc(ready, netip.AddrPort.Compare)
	return slices.Compact(ready)
}

// portOf is the number that a port of the Service has in a slice, or 0.
func portOf(port *corev1.ServicePort, slice *discoveryv1.EndpointSlice) uint16 {
	for i := range slice.Ports {
		candidate := &slice.Ports[i]
		if candidate.Port == nil || (candidate.Protocol != nil && *candidate.Protocol != port.Protocol) {
			continue
		}
		if name := candidate.Name; (name == nil && port.Name == "") || (name != nil && *name == port.Name) {
			return uint16(*candidate.Port)
		}
	}
	return 0
}

func isTrue(flag *bool) bool { return flag != nil && *flag }

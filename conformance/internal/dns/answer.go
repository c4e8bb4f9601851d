package dns

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// zone is what this server answers for.
const zone = "svc.cluster.local."

// answer is what there is to say about a name.
type answer struct {
	// exists is false for a name that does not.
	exists    bool
	addresses []netip.Addr
	services  []target
	alias     string // an ExternalName, as a full name
}

// target is where a named port is.
type target struct {
	host string
	port uint16
}

// slicesOf finds the endpoints of a Service.
type slicesOf func(cache.ObjectName) []*discoveryv1.EndpointSlice

// directory looks names up.
type directory struct {
	services  corelisters.ServiceLister
	endpoints slicesOf
}

// lookUp answers for a name, which ends with a dot.
func (d *directory) lookUp(name string) answer {
	rest, ours := strings.CutSuffix(strings.ToLower(name), "."+zone)
	if !ours {
		return answer{}
	}
	parts := strings.Split(rest, ".")
	slices.Reverse(parts)
	if len(parts) < 2 {
		return answer{}
	}
	service, err := d.services.Services(parts[0]).Get(parts[1])
	if err != nil { // the lister knows one error: that there is none
		return answer{}
	}
	own := parts[1] + "." + parts[0] + "." + zone
	switch endpoints := d.endpoints(cache.MetaObjectToName(service)); len(parts) {
	case 2:
		return ofService(service, endpoints)
	case 3:
		return ofHost(parts[2], endpoints)
	case 4:
		return ofPort(service, own, endpoints, strings.TrimPrefix(parts[3], "_"), strings.TrimPrefix(parts[2], "_"))
	default:
		return answer{}
	}
}

func ofService(service *corev1.Service, endpoints []*discoveryv1.EndpointSlice) answer {
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return answer{exists: true, alias: strings.TrimSuffix(service.Spec.ExternalName, ".") + "."}
	case service.Spec.ClusterIP != corev1.ClusterIPNone:
		return answer{exists: true, addresses: parse(service.Spec.ClusterIPs)}
	default:
		return answer{exists: true, addresses: addressesOf(endpoints, func(*discoveryv1.Endpoint) bool { return true })}
	}
}

func ofHost(host string, endpoints []*discoveryv1.EndpointSlice) answer {
	addresses := addressesOf(endpoints, func(endpoint *discoveryv1.Endpoint) bool {
		return endpoint.Hostname != nil && *endpoint.Hostname == host
	})
	return answer{exists: len(addresses) > 0, addresses: addresses}
}

func ofPort(service *corev1.Service, own string, endpoints []*discoveryv1.EndpointSlice, name, protocol string) answer {
	var targets []target
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if port.Name != name || !strings.EqualFold(string(port.Protocol), protocol) {
			continue
		}
		if service.Spec.ClusterIP != corev1.ClusterIPNone {
			targets = append(targets, target{host: own, port: uint16(port.Port)})
			continue
		}
		for _, slice := range endpoints {
			targets = append(targets, targetsOf(slice, name, own)...)
		}
	}
	return answer{exists: len(targets) > 0, services: targets}
}

// targetsOf are the named endpoints behind a port of a headless Service.
func targetsOf(slice *discoveryv1.EndpointSlice, port, own string) []target {
	var targets []target
	for _, candidate := range slice.Ports {
		if candidate.Name == nil || *candidate.Name != port || candidate.Port == nil {
			continue
		}
		for i := range slice.Endpoints {
			if endpoint := &slice.Endpoints[i]; isPublished(endpoint) && endpoint.Hostname != nil {
				targets = append(targets, target{host: *endpoint.Hostname + "." + own, port: uint16(*candidate.Port)})
			}
		}
	}
	return targets
}

// addressesOf are the addresses of published endpoints that pass, in order.
func addressesOf(endpoints []*discoveryv1.EndpointSlice, pass func(*discoveryv1.Endpoint) bool) []netip.Addr {
	var addresses []netip.Addr
	for _, slice := range endpoints {
		for i := range slice.Endpoints {
			if endpoint := &slice.Endpoints[i]; isPublished(endpoint) && pass(endpoint) {
				addresses = append(addresses, parse(endpoint.Addresses)...)
			}
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// isPublished tells whether an endpoint is named. Where a Service publishes addresses
// that are not ready, its slices call them ready.
func isPublished(endpoint *discoveryv1.Endpoint) bool {
	return endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
}

func parse(texts []string) []netip.Addr {
	var addresses []netip.Addr
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

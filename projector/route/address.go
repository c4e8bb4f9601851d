package route

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// requests is what a Gateway asks for in spec.addresses.
type requests struct {
	// addresses are the IP addresses asked for.
	addresses []string
	// hostnames are those asked for by name. Nobody can be told to bring them, but a
	// load balancer may have one.
	hostnames []string
	// anyIP and anyHostname ask for whatever is given: also when nothing is asked for.
	anyIP, anyHostname bool
	// unsupported is why the Gateway is not accepted, unusable why it is not programmed.
	unsupported, unusable problem
}

func requestsOf(gw *gatewayv1.Gateway) requests {
	none := len(gw.Spec.Addresses) == 0
	out := requests{anyIP: none, anyHostname: none}
	for _, a := range gw.Spec.Addresses {
		kind := gatewayv1.IPAddressType
		if a.Type != nil {
			kind = *a.Type
		}
		switch {
		case kind != gatewayv1.IPAddressType && kind != gatewayv1.HostnameAddressType:
			out.unsupported = problem{string(gatewayv1.GatewayReasonUnsupportedAddress), fmt.Sprintf("Addresses of type %s are not supported; use IPAddress.", kind)}
		case a.Routability != gatewayv1.GatewayAddressRoutabilityDefault:
			out.unusable = problem{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf("Addresses with the routability %s are not supported; leave it out.", a.Routability)}
		case kind == gatewayv1.HostnameAddressType && a.Value == "":
			out.anyHostname = true
		case kind == gatewayv1.HostnameAddressType:
			out.hostnames = append(out.hostnames, a.Value)
		case a.Value == "":
			out.anyIP = true
		default:
			out.addresses = append(out.addresses, a.Value)
		}
	}
	return out
}

// forService leaves out the addresses that no Service can have.
func (w requests) forService() requests {
	all := w.addresses
	w.addresses = nil
	for _, a := range all {
		if ip, err := netip.ParseAddr(a); err == nil && bindable(ip) {
			w.addresses = append(w.addresses, a)
		} else {
			w.unusable = problem{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf("The address %s is none that a Service can have.", a)}
		}
	}
	return w
}

// elsewhere is why a Gateway that listens on one address, and has no Service,
// cannot be reached as it asks for.
func (w requests) elsewhere(listen string) problem {
	if !w.unusable.ok() {
		return w.unusable
	}
	for _, address := range slices.Concat(w.addresses, w.hostnames) {
		if address != listen {
			return problem{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf("The address %s cannot be used; this Gateway listens on %s.", address, listen)}
		}
	}
	return problem{}
}

// bindable tells whether a Service may have an address, by the rules of the API server.
func bindable(ip netip.Addr) bool {
	return ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast()
}

// addressesOf are the addresses at which a provisioned Gateway is reached, of its
// Service, and why they are not those that it asks for.
func addressesOf(r *reader, o *fold.Object, name string, want requests) ([]string, problem) {
	_, service := get[fold.Service](r, events.Key{Resource: events.Services, Namespace: o.Key.Namespace, Name: name})
	notAssigned := func(format string, args ...any) problem {
		return problem{string(gatewayv1.GatewayReasonAddressNotAssigned), fmt.Sprintf(format, args...)}
	}
	switch {
	case !want.unusable.ok() && service == nil:
		return nil, want.unusable
	case service == nil:
		return nil, notAssigned("The Service %s of the Gateway does not exist yet.", name)
	case !owned(service, o.UID):
		return nil, notAssigned("There is a Service %s that is not of this Gateway; give that Service or the Gateway another name.", name)
	}
	ips, hostnames := given(service)
	var out, missing []string
	for _, list := range []struct{ asked, given []string }{{want.addresses, slices.Concat(ips, service.Owned.ExternalIPs)}, {want.hostnames, hostnames}} {
		for _, a := range list.asked {
			if slices.Contains(list.given, a) {
				out = append(out, a)
			} else {
				missing = append(missing, a)
			}
		}
	}
	if want.anyIP {
		out = append(out, ips...)
	}
	if want.anyHostname {
		out = append(out, hostnames...)
	}
	switch {
	case !want.unusable.ok():
		return out, want.unusable
	case len(want.hostnames) > 0 && len(missing) > 0, len(missing) > 0 && len(ips) > 0:
		return out, problem{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf(
			"The load balancer of the Service %s does not give %s; ask for another address, or for none.", name, strings.Join(missing, ", "))}
	case len(missing) > 0, len(out) == 0:
		return out, notAssigned("The load balancer has given the Service %s no address yet.", name)
	}
	const most = 16 // GatewayStatus.addresses
	return out[:min(len(out), most)], problem{}
}

// given are the addresses that the cluster gave a Service.
func given(service *fold.Service) (ips, hostnames []string) {
	if service.Type != corev1.ServiceTypeLoadBalancer {
		return slices.DeleteFunc(slices.Clone(service.Owned.ClusterIPs), func(ip string) bool { return ip == corev1.ClusterIPNone }), nil
	}
	for _, ingress := range service.Owned.Ingress {
		if ingress.IP != "" {
			ips = append(ips, ingress.IP)
		}
		if ingress.Hostname != "" {
			hostnames = append(hostnames, ingress.Hostname)
		}
	}
	return ips, hostnames
}

// owned tells whether a Service was made for the Gateway with this uid.
func owned(service *fold.Service, uid string) bool {
	return service.Owned != nil && slices.Contains(service.Owned.Owners, types.UID(uid))
}

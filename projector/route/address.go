package route

import (
	"fmt"
	"net/netip"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routabilitySentinel is served as the default is, and reported as what it is: the
// suite's to ask for, with no guarantee (GEP-5093, "Well-Known Values").
const routabilitySentinel gatewayv1.GatewayAddressRoutabilityType = "testing.x-k8s.io/sentinel"

// request is one entry of spec.addresses.
type request struct {
	place       int // in spec.addresses
	hostname    bool
	value       string // "" for whatever is given
	routability gatewayv1.GatewayAddressRoutabilityType
	// never is why no address will do; "" where one may.
	never string
}

func (w *request) String() string {
	out := fmt.Sprintf("spec.addresses[%d]", w.place)
	if w.value != "" {
		out += " " + w.value
	}
	if w.routability != gatewayv1.GatewayAddressRoutabilityDefault {
		out += " (" + string(w.routability) + ")"
	}
	return out
}

// inside tells whether only an address of the cluster's Services will do.
func (w *request) inside() bool {
	return w.routability == gatewayv1.GatewayAddressRoutabilityCluster
}

// requestsOf are the entries of spec.addresses, and why the Gateway is not accepted.
func requestsOf(gw *gatewayv1.Gateway) (out []request, unsupported problem) {
	for i, a := range gw.Spec.Addresses {
		kind := gatewayv1.IPAddressType
		if a.Type != nil {
			kind = *a.Type
		}
		if kind != gatewayv1.IPAddressType && kind != gatewayv1.HostnameAddressType {
			return nil, problem{string(gatewayv1.GatewayReasonUnsupportedAddress), fmt.Sprintf("Addresses of type %s are not supported; use IPAddress.", kind)}
		}
		w := request{place: i, hostname: kind == gatewayv1.HostnameAddressType, value: a.Value, routability: a.Routability}
		switch w.routability {
		case gatewayv1.GatewayAddressRoutabilityDefault, routabilitySentinel:
		case gatewayv1.GatewayAddressRoutabilityCluster:
			if w.hostname {
				w.never = "only an IPAddress can have the routability Cluster"
			}
		default:
			w.never = "the routability is none that Rutter has; use Cluster, or leave it out"
		}
		out = append(out, w)
	}
	return out, problem{}
}

// ofService notes which requests no Service can meet.
func ofService(want []request) []request {
	out := slices.Clone(want)
	for i := range out {
		w := &out[i]
		if w.never != "" || w.hostname || w.value == "" {
			continue
		}
		if ip, err := netip.ParseAddr(w.value); err != nil || !bindable(ip) {
			w.never = "it is no address that a Service can have"
		}
	}
	return out
}

// bindable tells whether a Service may have an address, by the rules of the API server.
func bindable(ip netip.Addr) bool {
	return ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !ip.IsMulticast()
}

// askedFor are the IP addresses that a Service is to be asked for: those inside the
// cluster, or the others.
func askedFor(want []request, inside bool) []string {
	var out []string
	for i := range want {
		if w := &want[i]; w.never == "" && !w.hostname && w.value != "" && w.inside() == inside {
			out = append(out, w.value)
		}
	}
	return out
}

// onlyInside tells whether nothing but addresses inside the cluster is asked for:
// then there must be no other.
func onlyInside(want []request) bool {
	return len(want) > 0 && !slices.ContainsFunc(want, func(w request) bool { return w.never == "" && !w.inside() })
}

// elsewhere is why a Gateway that listens on one address, and has no Service,
// cannot be reached as it asks for.
func elsewhere(want []request, listen string) problem {
	for i := range want {
		switch w := &want[i]; {
		case w.routability != gatewayv1.GatewayAddressRoutabilityDefault:
			return problem{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf("Addresses with the routability %s are not supported; leave it out.", w.routability)}
		case w.value != "" && w.value != listen:
			return problem{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf("The address %s cannot be used; this Gateway listens on %s.", w.value, listen)}
		}
	}
	return problem{}
}

package manifests

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Limits of one EndpointSlice.
const (
	maxEndpoints = 1000
	maxAddresses = 100
	maxPorts     = 20000
)

func sliceMeta(s *discoveryv1.EndpointSlice) *metav1.ObjectMeta { return &s.ObjectMeta }

// defaultSlice sets name and protocol of the ports. A condition that is not
// given stays unknown, which readers take for ready.
func defaultSlice(s *discoveryv1.EndpointSlice) {
	if s.Endpoints == nil {
		s.Endpoints = []discoveryv1.Endpoint{} // an empty list rather than null
	}
	for i := range s.Ports {
		port := &s.Ports[i]
		if port.Name == nil {
			port.Name = new("")
		}
		if port.Protocol == nil {
			port.Protocol = new(corev1.ProtocolTCP)
		}
	}
}

func validateSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("addressType")
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
	case "":
		errs = append(errs, field.Required(path, ""))
	default:
		errs = append(errs, field.NotSupported(path, s.AddressType,
			[]discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}))
	}
	errs = append(errs, validateEndpoints(s)...)
	return append(errs, validateSlicePorts(s.Ports, field.NewPath("ports"))...)
}

func validateEndpoints(s *discoveryv1.EndpointSlice) field.ErrorList {
	path := field.NewPath("endpoints")
	if n := len(s.Endpoints); n > maxEndpoints {
		return field.ErrorList{field.TooMany(path, n, maxEndpoints)}
	}
	var errs field.ErrorList
	for i, endpoint := range s.Endpoints {
		at := path.Index(i).Child("addresses")
		switch n := len(endpoint.Addresses); {
		case n == 0:
			errs = append(errs, field.Required(at, "must contain at least 1 address"))
		case n > maxAddresses:
			errs = append(errs, field.TooMany(at, n, maxAddresses))
		}
		for j, address := range endpoint.Addresses {
			errs = append(errs, validateAddress(s.AddressType, address, at.Index(j))...)
		}
		if endpoint.Hostname != nil {
			for _, message := range validation.IsDNS1123Label(*endpoint.Hostname) {
				errs = append(errs, field.Invalid(path.Index(i).Child("hostname"), *endpoint.Hostname, message))
			}
		}
	}
	return errs
}

// validateAddress checks an address as the API server does, except that a
// loopback address is allowed: without a cluster, that is where backends are.
func validateAddress(kind discoveryv1.AddressType, address string, path *field.Path) field.ErrorList {
	if kind == discoveryv1.AddressTypeFQDN {
		return validation.IsFullyQualifiedDomainName(path, address)
	}
	ip, err := netip.ParseAddr(address)
	ok := err == nil && ip.Zone() == ""
	switch {
	case kind == discoveryv1.AddressTypeIPv4 && !(ok && ip.Is4()):
		return field.ErrorList{field.Invalid(path, address, "must be a valid IPv4 address")}
	case kind == discoveryv1.AddressTypeIPv6 && !(ok && ip.Is6() && !ip.Is4In6()):
		return field.ErrorList{field.Invalid(path, address, "must be a valid IPv6 address")}
	case !ok:
		return nil // of an unsupported type, which is reported already
	}
	var special string
	switch {
	case ip.IsUnspecified():
		special = fmt.Sprintf("may not be unspecified (%s)", address)
	case ip.IsLinkLocalUnicast():
		special = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
	case ip.IsLinkLocalMulticast():
		special = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
	default:
		return nil
	}
	return field.ErrorList{field.Invalid(path, address, special)}
}

func validateSlicePorts(ports []discoveryv1.EndpointPort, path *field.Path) field.ErrorList {
	if n := len(ports); n > maxPorts {
		return field.ErrorList{field.TooMany(path, n, maxPorts)}
	}
	var errs field.ErrorList
	names := map[string]bool{}
	unnamed := false
	for i, port := range ports {
		at := path.Index(i)
		errs = append(errs, validatePortName(*port.Name, false, names, at.Child("name"))...)
		if *port.Name == "" {
			if unnamed {
				errs = append(errs, field.Duplicate(at.Child("name"), ""))
			}
			unnamed = true
		}
		if port.Port != nil {
			for _, message := range validation.IsValidPortNum(int(*port.Port)) {
				errs = append(errs, field.Invalid(at.Child("port"), *port.Port, message))
			}
		}
		errs = append(errs, validateProtocol(*port.Protocol, at.Child("protocol"))...)
		if port.AppProtocol != nil {
			for _, message := range validation.IsQualifiedName(*port.AppProtocol) {
				errs = append(errs, field.Invalid(at.Child("appProtocol"), *port.AppProtocol, message))
			}
		}
	}
	return errs
}

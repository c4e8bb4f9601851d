package services

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

func TestTable(t *testing.T) {
	yes, no := true, false
	ready := discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes, Terminating: &no}
	starting := discoveryv1.EndpointConditions{Ready: &no, Serving: &no, Terminating: &no}
	ending := discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
	service := func(change func(*corev1.Service)) *corev1.Service {
		made := &corev1.Service{Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.7", ClusterIPs: []string{"10.96.0.7"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		}}
		if change != nil {
			change(made)
		}
		return made
	}
	at := func(address string) frontend { return frontend{netip.MustParseAddrPort(address), corev1.ProtocolTCP} }
	to := func(addresses ...string) []netip.AddrPort {
		var result []netip.AddrPort
		for _, address := range addresses {
			result = append(result, netip.MustParseAddrPort(address))
		}
		return result
	}
	for _, test := range []struct {
		name      string
		service   *corev1.Service
		endpoints []*discoveryv1.EndpointSlice
		want      map[frontend][]netip.AddrPort
	}{
		{
			"all slices together, in order, each endpoint once", service(nil),
			[]*discoveryv1.EndpointSlice{
				slice("http", 8080, endpoint("10.244.0.9", ready), endpoint("10.244.0.3", discoveryv1.EndpointConditions{})),
				slice("http", 8080, endpoint("10.244.0.9", ready)),
			},
			map[frontend][]netip.AddrPort{at("10.96.0.7:80"): to("10.244.0.3:8080", "10.244.0.9:8080")},
		},
		{
			"a port has the endpoints of its name", service(nil),
			[]*discoveryv1.EndpointSlice{slice("other", 8080, endpoint("10.244.0.9", ready))},
			map[frontend][]netip.AddrPort{},
		},
		{
			"what is not ready gets nothing", service(nil),
			[]*discoveryv1.EndpointSlice{slice("http", 8080, endpoint("10.244.0.3", starting), endpoint("10.244.0.4", ending), endpoint("10.244.0.5", ready))},
			map[frontend][]netip.AddrPort{at("10.96.0.7:80"): to("10.244.0.5:8080")},
		},
		{
			"what is about to end serves when nothing else does", service(nil),
			[]*discoveryv1.EndpointSlice{slice("http", 8080, endpoint("10.244.0.3", starting), endpoint("10.244.0.4", ending))},
			map[frontend][]netip.AddrPort{at("10.96.0.7:80"): to("10.244.0.4:8080")},
		},
		{
			"every address of the Service", service(func(service *corev1.Service) {
				service.Spec.ExternalIPs = []string{"10.97.1.1"}
				service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.97.0.1"}, {Hostname: "elsewhere.example"}}
			}),
			[]*discoveryv1.EndpointSlice{slice("http", 8080, endpoint("10.244.0.3", ready))},
			map[frontend][]netip.AddrPort{
				at("10.96.0.7:80"): to("10.244.0.3:8080"), at("10.97.1.1:80"): to("10.244.0.3:8080"), at("10.97.0.1:80"): to("10.244.0.3:8080"),
			},
		},
		{
			"a headless Service has no address", service(func(service *corev1.Service) {
				service.Spec.ClusterIP, service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
			}),
			[]*discoveryv1.EndpointSlice{slice("http", 8080, endpoint("10.244.0.3", ready))},
			map[frontend][]netip.AddrPort{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := table(test.service, test.endpoints); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func slice(port string, number int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &port, Port: &number}},
		Endpoints:   endpoints,
	}
}

func endpoint(address string, conditions discoveryv1.EndpointConditions) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: conditions}
}

func TestAddressesOfLoadBalancers(t *testing.T) {
	pool := newPool(netip.MustParsePrefix("10.97.0.0/30")) // .1, .2 and .3
	one, two, three, four := cache.NewObjectName("a", "one"), cache.NewObjectName("a", "two"), cache.NewObjectName("a", "three"), cache.NewObjectName("a", "four")
	assign := func(name cache.ObjectName, requested string, has ...string) string {
		var ingress []corev1.LoadBalancerIngress
		for _, ip := range has {
			ingress = append(ingress, corev1.LoadBalancerIngress{IP: ip})
		}
		address, err := pool.assign(name, requested, ingress)
		if err != nil {
			return err.Error()
		}
		return address.String()
	}
	for _, step := range []struct{ what, got, want string }{
		{"the first one", assign(one, ""), "10.97.0.1"},
		{"again", assign(one, ""), "10.97.0.1"},
		{"one that was asked for", assign(two, "10.97.0.3"), "10.97.0.3"},
		{"one that another has", assign(three, "10.97.0.3"), "the address 10.97.0.3 is used by a/two"},
		{"one from elsewhere", assign(three, "10.98.0.1"), "the requested address 10.98.0.1 is not in 10.97.0.0/30"},
		{"one that it had before a restart", assign(three, "", "10.97.0.2"), "10.97.0.2"},
		{"none is left", assign(four, ""), "all addresses of 10.97.0.0/30 are in use"},
		{"another one for the same", assign(two, "10.97.0.1"), "the address 10.97.0.1 is used by a/one"},
	} {
		if step.got != step.want {
			t.Errorf("%s: %s, want %s", step.what, step.got, step.want)
		}
	}
	pool.release(one)
	if got := assign(four, ""); got != "10.97.0.1" {
		t.Errorf("what was given back is not given out: %s", got)
	}
}

package route

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// reached is where a provisioned Gateway is reached.
type reached struct {
	addresses     []string
	routabilities map[string]string
	// assigned is AddressesAssigned; nil before there is a Service.
	assigned *routing.Condition
	// programmed is why that is not as the Gateway asks for.
	programmed problem
}

// offer is an address of a Service.
type offer struct {
	address  string
	hostname bool
	// inside is set for one of the cluster's Services (GatewayAddressRoutabilityCluster).
	inside bool
	// spare addresses go to whoever asks for them, and to nobody else.
	spare bool
	taken bool
}

func (o *offer) meets(w *request) bool {
	switch {
	case o.taken, w.never != "", o.hostname != w.hostname, w.value != "" && w.value != o.address:
		return false
	case w.inside():
		return o.inside
	}
	return w.value != "" || !o.spare
}

func (o *offer) routability(w *request) string {
	switch {
	case w != nil && w.routability == routabilitySentinel:
		return string(routabilitySentinel)
	case o.inside:
		return string(gatewayv1.GatewayAddressRoutabilityCluster)
	}
	return string(gatewayv1.GatewayAddressRoutabilityDefault)
}

// offersOf are the addresses of a Service.
func offersOf(service *fold.Service) []offer {
	balanced := service.Type == corev1.ServiceTypeLoadBalancer
	var out []offer
	if balanced {
		var hostnames []offer
		for _, ingress := range service.Owned.Ingress {
			if ingress.IP != "" {
				out = append(out, offer{address: ingress.IP})
			}
			if ingress.Hostname != "" {
				hostnames = append(hostnames, offer{address: ingress.Hostname, hostname: true})
			}
		}
		out = append(out, hostnames...)
	}
	for _, ip := range service.Owned.ClusterIPs {
		if ip != corev1.ClusterIPNone {
			out = append(out, offer{address: ip, inside: true, spare: balanced})
		}
	}
	for _, ip := range service.Owned.ExternalIPs {
		out = append(out, offer{address: ip, spare: true})
	}
	return out
}

// reachedAt is where a provisioned Gateway is reached: at its Service. Without
// requests it is whatever the Service has; with them, one address for each that can
// be met, and no other (GEP-5093, "Spec Semantics").
func reachedAt(r *reader, o *fold.Object, name string, want []request, routable bool) reached {
	_, service := get[fold.Service](r, events.Key{Resource: events.Services, Namespace: o.Key.Namespace, Name: name})
	notAssigned := func(format string, args ...any) reached {
		return reached{programmed: problem{string(gatewayv1.GatewayReasonAddressNotAssigned), fmt.Sprintf(format, args...)}}
	}
	switch {
	case service == nil:
		return notAssigned("The Service %s of the Gateway does not exist yet.", name)
	case !owned(service, o.UID):
		return notAssigned("There is a Service %s that is not of this Gateway; give that Service or the Gateway another name.", name)
	}
	a := &assignment{service: name, want: want, offers: offersOf(service), met: make([]*offer, len(want))}
	a.assign()
	return a.outcome(routable)
}

// assignment gives the addresses of a Service to the requests of its Gateway.
type assignment struct {
	service string
	want    []request
	offers  []offer
	met     []*offer // by request; nil is not met
}

// assign lets those choose first who have the least choice.
func (a *assignment) assign() {
	for _, turn := range []func(w *request) bool{
		func(w *request) bool { return w.value != "" },
		func(w *request) bool { return w.value == "" && w.inside() },
		func(w *request) bool { return w.value == "" && !w.inside() },
	} {
		for i := range a.want {
			w := &a.want[i]
			if !turn(w) {
				continue
			}
			if at := slices.IndexFunc(a.offers, func(o offer) bool { return o.meets(w) }); at >= 0 {
				a.offers[at].taken, a.met[i] = true, &a.offers[at]
			}
		}
	}
}

func (a *assignment) outcome(routable bool) reached {
	out := reached{}
	add := func(o *offer, w *request) {
		const most = 16 // GatewayStatus.addresses
		if len(out.addresses) == most {
			return
		}
		out.addresses = append(out.addresses, o.address)
		if routable {
			if out.routabilities == nil {
				out.routabilities = map[string]string{}
			}
			out.routabilities[o.address] = o.routability(w)
		}
	}
	var unmet []string
	unusable := false // among those that ask for no routability
	for i := range a.want {
		w := &a.want[i]
		if a.met[i] != nil {
			add(a.met[i], w)
			continue
		}
		why, never := a.why(w)
		unmet = append(unmet, fmt.Sprintf("%s: %s", w, why))
		unusable = unusable || never && w.routability == gatewayv1.GatewayAddressRoutabilityDefault
	}
	if len(a.want) == 0 {
		for i := range a.offers {
			if o := &a.offers[i]; !o.spare {
				add(o, nil)
			}
		}
		if len(out.addresses) == 0 {
			unmet = append(unmet, fmt.Sprintf("The load balancer has given the Service %s no address yet", a.service))
		}
	}
	message := strings.Join(unmet, "; ") + "."
	switch {
	case len(unmet) == 0:
	case len(out.addresses) == 0 && (routable || !unusable):
		out.programmed = problem{string(gatewayv1.GatewayReasonAddressNotAssigned), message}
	case unusable:
		out.programmed = problem{string(gatewayv1.GatewayReasonAddressNotUsable), message}
	}
	if routable {
		out.assigned = assigned(len(out.addresses), len(unmet), message)
	}
	return out
}

// why a request is not met, and whether it never will be.
func (a *assignment) why(w *request) (why string, never bool) {
	given := slices.ContainsFunc(a.offers, func(o offer) bool { return !o.inside && !o.spare })
	switch {
	case w.never != "":
		return w.never, true
	case w.inside() && w.value != "":
		return fmt.Sprintf("the cluster has not given it to the Service %s, because it is none of its addresses for Services, or not free, or because the Service had another one before", a.service), true
	case w.inside():
		return fmt.Sprintf("the Service %s has no other address of the cluster", a.service), true
	case w.value != "" && (given || w.hostname):
		return fmt.Sprintf("the load balancer of the Service %s does not give it; ask for another address, or for none", a.service), true
	}
	return fmt.Sprintf("the load balancer has not given the Service %s an address for it yet", a.service), false
}

// assigned is the condition AddressesAssigned.
func assigned(met, unmet int, message string) *routing.Condition {
	kind := string(gatewayv1.GatewayConditionAddressesAssigned)
	c := condition(kind, true, string(gatewayv1.GatewayReasonAddressesAssigned), "All addresses that the Gateway asks for are assigned.")
	switch {
	case unmet > 0 && met > 0:
		c = condition(kind, false, string(gatewayv1.GatewayReasonAddressesPartiallyAssigned), message)
	case unmet > 0:
		c = condition(kind, false, string(gatewayv1.GatewayReasonAddressesNotAssigned), message)
	}
	return &c
}

// owned tells whether a Service was made for the Gateway with this uid.
func owned(service *fold.Service, uid string) bool {
	return service.Owned != nil && slices.Contains(service.Owned.Owners, types.UID(uid))
}

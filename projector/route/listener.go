package route

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// listener is one listener of a Gateway or a ListenerSet, resolved.
type listener struct {
	name   gatewayv1.SectionName
	object events.Key // that has it
	// id is unique among all listeners of the Gateway: the name, and of a ListenerSet
	// namespace_set_name, which no name can be.
	id       string
	port     int32
	protocol gatewayv1.ProtocolType
	hostname string // pattern, "*" for any

	accepted, conflict, resolved problem
	overlaps                     []string // other HTTPS listeners of the port and the object with overlapping hostnames
	overlapsOthers               bool     // or of another object
	kinds                        []routing.GroupKind
	from                         gatewayv1.FromNamespaces
	selector                     labels.Selector
	passthrough                  bool     // TLS ends at the backend
	certificates                 []string // usable Secrets, namespace/name
	clients                      *ClientValidation
	warnings                     []problem // of certificates, which are served nevertheless
	filters                      []ExternalAuth
	blocked                      bool // by a filter that cannot be applied
	served                       bool
}

// newListener resolves a listener of an object, which is the Gateway or one of its
// ListenerSets.
func newListener(r *reader, g *gateway, object events.Key, spec *gatewayv1.Listener) *listener {
	l := &listener{name: spec.Name, object: object, id: listenerIDOf(object, spec.Name), port: spec.Port, protocol: spec.Protocol, hostname: anyHost, from: gatewayv1.NamespacesFromSame, kinds: []routing.GroupKind{}}
	if spec.Hostname != nil {
		l.hostname = orAny(string(*spec.Hostname))
	}
	switch spec.Protocol {
	case gatewayv1.HTTPProtocolType, gatewayv1.TCPProtocolType, gatewayv1.UDPProtocolType:
	case gatewayv1.HTTPSProtocolType, gatewayv1.TLSProtocolType:
		if l.passthrough = passes(spec); l.passthrough {
			break
		}
		l.resolveCertificates(r, object, spec.TLS)
		if spec.Protocol == gatewayv1.HTTPSProtocolType {
			l.resolveClients(r, g)
		}
	default:
		l.accepted = problem{string(gatewayv1.ListenerReasonUnsupportedProtocol), fmt.Sprintf("The protocol %s is not supported; use HTTP, HTTPS, TLS, TCP or UDP.", spec.Protocol)}
		return l
	}
	l.resolveFilters(r, object, spec.Filters)
	l.resolveAllowedRoutes(spec.AllowedRoutes)
	return l
}

// resolveAllowedRoutes finds which kinds of routes may attach, and from where (AllowedRoutes).
func (l *listener) resolveAllowedRoutes(allowed *gatewayv1.AllowedRoutes) {
	supported := supportedKinds(l.protocol)
	if allowed == nil {
		l.kinds = supported
		return
	}
	for _, k := range allowed.Kinds {
		kind := routing.GroupKind{Group: or(k.Group, gatewayv1.GroupName), Kind: string(k.Kind)}
		switch {
		case !slices.Contains(supported, kind):
			if l.resolved.ok() {
				l.resolved = problem{string(gatewayv1.ListenerReasonInvalidRouteKinds), fmt.Sprintf("Routes of kind %s/%s cannot attach to a listener with protocol %s; use %s.", kind.Group, kind.Kind, l.protocol, names(supported))}
			}
		case !slices.Contains(l.kinds, kind):
			l.kinds = append(l.kinds, kind)
		}
	}
	if len(allowed.Kinds) == 0 {
		l.kinds = supported
	}
	if allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return
	}
	l.from = *allowed.Namespaces.From
	if l.from == gatewayv1.NamespacesFromSelector {
		selector, err := namespaceSelector(allowed.Namespaces.Selector)
		if err != nil {
			l.accepted = problem{string(gatewayv1.ListenerReasonUnsupportedValue), fmt.Sprintf("allowedRoutes.namespaces.selector: %v.", err)}
		}
		l.selector = selector
	}
}

// namespaceSelector is the selector that has to be there where namespaces are chosen by
// one (RouteNamespaces.selector, ListenerNamespaces.selector); on an error it selects none.
func namespaceSelector(spec *metav1.LabelSelector) (labels.Selector, error) {
	if spec == nil {
		return labels.Nothing(), errors.New("it is missing")
	}
	selector, err := metav1.LabelSelectorAsSelector(spec)
	if err != nil {
		return labels.Nothing(), err
	}
	return selector, nil
}

// passes tells whether TLS ends at the backend (ListenerTLSConfig.mode).
func passes(spec *gatewayv1.Listener) bool {
	return spec.Protocol == gatewayv1.TLSProtocolType && spec.TLS != nil && spec.TLS.Mode != nil && *spec.TLS.Mode == gatewayv1.TLSModePassthrough
}

// supportedKinds are the routes that a listener with a protocol takes.
func supportedKinds(protocol gatewayv1.ProtocolType) []routing.GroupKind {
	kinds := map[gatewayv1.ProtocolType][]string{
		gatewayv1.HTTPProtocolType: {httpRoute, grpcRoute}, gatewayv1.HTTPSProtocolType: {httpRoute, grpcRoute},
		gatewayv1.TLSProtocolType: {tlsRoute}, gatewayv1.TCPProtocolType: {tcpRoute}, gatewayv1.UDPProtocolType: {udpRoute},
	}[protocol]
	var out []routing.GroupKind
	for _, kind := range kinds {
		out = append(out, routing.GroupKind{Group: gatewayv1.GroupName, Kind: kind})
	}
	return out
}

func names(kinds []routing.GroupKind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.Kind)
	}
	return strings.Join(out, " or ")
}

// allows tells whether a route in namespace may attach to a listener of an object in
// the namespace own.
func (l *listener) allows(r *reader, own, kind, namespace string) bool {
	if !slices.Contains(l.kinds, routing.GroupKind{Group: gatewayv1.GroupName, Kind: kind}) {
		return false
	}
	switch l.from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return namespace == own
	case gatewayv1.NamespacesFromSelector:
		return l.selector.Matches(labels.Set(r.namespaceLabels(namespace)))
	default:
		return false
	}
}

// findConflicts marks listeners of one object that are not distinct: all of them, no
// winner (GatewaySpec.listeners, "Handling indistinct Listeners").
func findConflicts(listeners []*listener) {
	for i, l := range listeners {
		for j, other := range listeners {
			mine, its := transportOf(l.protocol), transportOf(other.protocol)
			if i == j || l.port != other.port || mine == "" || its == "" || (mine == plainUDP) != (its == plainUDP) {
				continue
			}
			switch {
			case l.protocol != other.protocol && mine == its && l.hostname == other.hostname:
				l.conflict = problem{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("The listeners %s and %s have the same port %d and hostname, with different protocols.", l.name, other.name, l.port)}
			case mine != its:
				l.conflict = problem{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("The listeners %s and %s use port %d with different protocols.", l.name, other.name, l.port)}
			case l.hostname == other.hostname:
				l.conflict = problem{string(gatewayv1.ListenerReasonHostnameConflict), fmt.Sprintf("The listeners %s and %s have the same port %d and hostname.", l.name, other.name, l.port)}
			case l.protocol == gatewayv1.HTTPSProtocolType && its == overTLS && (covers(l.hostname, other.hostname) || covers(other.hostname, l.hostname)):
				l.overlaps = append(l.overlaps, string(other.name))
			}
		}
	}
}

// terminates tells whether TLS ends at the listener.
func (l *listener) terminates() bool { return transportOf(l.protocol) == overTLS && !l.passthrough }

// valid tells whether there is something to serve in the listener.
func (l *listener) valid() bool {
	return l.accepted.ok() && !l.blocked && l.conflict.ok() && len(l.kinds) > 0 && (!l.terminates() || len(l.certificates) > 0)
}

// chain is the ID of the filter chain that serves the listener.
func (l *listener) chain() string {
	protocol := strings.ToLower(string(l.protocol))
	if transportOf(l.protocol) == overTLS {
		return fmt.Sprintf("%s-%d-%s", protocol, l.port, l.id)
	}
	return fmt.Sprintf("%s-%d", protocol, l.port)
}

// stream is what the listener forwards without looking at requests.
func (l *listener) stream() Stream {
	return map[gatewayv1.ProtocolType]Stream{
		gatewayv1.TLSProtocolType: StreamTCP, gatewayv1.TCPProtocolType: StreamTCP, gatewayv1.UDPProtocolType: StreamUDP,
	}[l.protocol]
}

func (l *listener) serverName() string {
	if l.protocol != gatewayv1.HTTPSProtocolType || l.hostname == anyHost {
		return ""
	}
	return l.hostname
}

// sameForRoutes tells whether two are alike but for the warnings, which concern no
// route: time alone recomputes none.
func (l *listener) sameForRoutes(other *listener) bool {
	a, b := *l, *other
	a.warnings, b.warnings = nil, nil
	return reflect.DeepEqual(a, b)
}

func (l *listener) verdict() routing.ListenerVerdict {
	accepted := l.accepted
	if accepted.ok() && !l.conflict.ok() {
		accepted = l.conflict
	}
	v := routing.ListenerVerdict{Name: string(l.name), SupportedKinds: l.kinds, Conditions: []routing.Condition{
		accepted.condition(string(gatewayv1.ListenerConditionAccepted), string(gatewayv1.ListenerReasonAccepted), "The listener is accepted."),
		l.resolved.condition(string(gatewayv1.ListenerConditionResolvedRefs), string(gatewayv1.ListenerReasonResolvedRefs), "All references are resolved."),
		condition(string(gatewayv1.ListenerConditionConflicted), false, string(gatewayv1.ListenerReasonNoConflicts), "The listener conflicts with no other."),
	}}
	if !l.conflict.ok() {
		v.Conditions[2] = condition(string(gatewayv1.ListenerConditionConflicted), true, l.conflict.reason, l.conflict.message)
	}
	if !l.served {
		reason := cmp.Or(l.conflict.reason, string(gatewayv1.ListenerReasonInvalid))
		v.Conditions = append(v.Conditions, condition(string(gatewayv1.ListenerConditionProgrammed), false, reason, "The listener is not served; see its other conditions."))
	}
	v.Conditions = append(v.Conditions, warned(l.warnings)...)
	if others := l.overlapping(); others != "" {
		v.Conditions = append(v.Conditions, condition(string(gatewayv1.ListenerConditionOverlappingTLSConfig), true, string(gatewayv1.ListenerReasonOverlappingHostnames),
			fmt.Sprintf("The hostname overlaps with that of %s on the same port; a connection may be reused for either, and misdirected requests get 421.", others)))
	}
	return v
}

// overlapping says in words whose hostnames overlap; "" is nobody's. Of other objects,
// which may be another tenant's, it gives no names.
func (l *listener) overlapping() string {
	var parts []string
	if len(l.overlaps) > 0 {
		parts = append(parts, "the listeners "+strings.Join(l.overlaps, ", "))
	}
	if l.overlapsOthers {
		parts = append(parts, "listeners of other objects of the Gateway")
	}
	return strings.Join(parts, " and ")
}

package route

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// listenerSet is a ListenerSet of one of our Gateways by itself.
type listenerSet struct {
	key     events.Key
	gateway string // namespace/name
	order   order
	// refused is why the Gateway does not allow it; then there are no listeners.
	refused   problem
	listeners []*listener     // with what concerns each alone
	verdict   routing.Verdict // identity
}

func listenerSetOf(key events.Key) node {
	return node{layer: listenerSetNode, a: key.Namespace, b: key.Name}
}

func (t *Tables) computeListenerSet(r *reader, key events.Key) *listenerSet {
	o, spec := get[gatewayv1.ListenerSetSpec](r, key)
	if spec == nil {
		return nil
	}
	ref := spec.ParentRef
	if or(ref.Group, gatewayv1.GroupName) != gatewayv1.GroupName || or(ref.Kind, "Gateway") != "Gateway" {
		return nil
	}
	name := or(ref.Namespace, key.Namespace) + "/" + string(ref.Name)
	g := r.gateway(name)
	if g == nil {
		return nil
	}
	s := &listenerSet{key: key, gateway: name, order: order{created: o.Created, name: key.Namespace + "/" + key.Name}, verdict: *newVerdict(o)}
	s.verdict.Gateway = name
	if !g.tenancy.admits(r, g.key.Namespace, key.Namespace) {
		s.refused = problem{string(gatewayv1.ListenerSetReasonNotAllowed), otherTenant(key.Namespace).message}
		return s
	}
	if s.refused = allowsSet(r, name, g.spec.AllowedListeners, key.Namespace); !s.refused.ok() {
		return s
	}
	for i := range spec.Listeners {
		entry := gatewayv1.Listener(spec.Listeners[i])
		s.listeners = append(s.listeners, newListener(r, g, key, &entry))
	}
	return s
}

// allowsSet is why a Gateway does not allow ListenerSets of a namespace (AllowedListeners).
func allowsSet(r *reader, gateway string, allowed *gatewayv1.AllowedListeners, namespace string) problem {
	refuse := func(why string) problem {
		return problem{string(gatewayv1.ListenerSetReasonNotAllowed), fmt.Sprintf("The Gateway %s %s (spec.allowedListeners).", gateway, why)}
	}
	var yes bool
	switch allowedFrom(allowed) {
	case gatewayv1.NamespacesFromAll:
		yes = true
	case gatewayv1.NamespacesFromSame:
		yes = gatewayKey(gateway).Namespace == namespace
	case gatewayv1.NamespacesFromSelector:
		selector, err := namespaceSelector(allowed.Namespaces.Selector)
		if err != nil {
			return refuse(fmt.Sprintf("has a selector that cannot be used: %v", err))
		}
		yes = selector.Matches(labels.Set(r.namespaceLabels(namespace)))
	default:
		return refuse("allows no ListenerSets")
	}
	if !yes {
		return refuse("does not allow ListenerSets of the namespace " + namespace)
	}
	return problem{}
}

func allowedFrom(allowed *gatewayv1.AllowedListeners) gatewayv1.FromNamespaces {
	if allowed == nil || allowed.Namespaces == nil || allowed.Namespaces.From == nil {
		return gatewayv1.NamespacesFromNone
	}
	return *allowed.Namespaces.From
}

// reasonParentNotProgrammed is one that the documentation of the API names, without a constant.
const reasonParentNotProgrammed = "ParentNotProgrammed"

// settled is the ListenerSet among all listeners of the Gateway. It is accepted as
// long as one of its listeners can be served (ListenerSetConditionAccepted); of the
// Gateway's it says only that it cannot do without (GEP-1713, "ListenerSet Conditions").
func (s *listenerSet) settled(g *gateway, listeners []*listener) *parent {
	p := &parent{key: s.key, gateway: s.gateway, listeners: listeners, tenancy: g.tenancy, verdict: s.verdict}
	var accepted, programmed problem
	invalid := invalidNames(listeners)
	switch {
	case !s.refused.ok():
		accepted, programmed = s.refused, s.refused
		p.refuses = problem{string(gatewayv1.RouteReasonNoMatchingParent), "The ListenerSet is not allowed by its Gateway: " + s.refused.message}
	case !g.accepted.ok():
		accepted = problem{string(gatewayv1.ListenerSetReasonParentNotAccepted), "The Gateway is not accepted; see its status."}
		programmed = problem{reasonParentNotProgrammed, accepted.message}
	case len(invalid) == len(listeners):
		accepted = problem{string(gatewayv1.ListenerSetReasonListenersNotValid), fmt.Sprintf("Listeners that cannot be served: %s. No other is left.", strings.Join(invalid, ", "))}
		programmed = accepted
	case !g.programmed.ok():
		programmed = problem{reasonParentNotProgrammed, "The Gateway cannot be reached as it asks for; see its status."}
	}
	okReason, okMessage := string(gatewayv1.ListenerSetReasonAccepted), "The ListenerSet is accepted."
	if len(invalid) > 0 {
		okReason = string(gatewayv1.ListenerSetReasonListenersNotValid)
		okMessage = fmt.Sprintf("Listeners that cannot be served: %s. The others are accepted.", strings.Join(invalid, ", "))
	}
	p.verdict.Conditions = []routing.Condition{accepted.condition(string(gatewayv1.ListenerSetConditionAccepted), okReason, okMessage)}
	if !programmed.ok() {
		p.verdict.Conditions = append(p.verdict.Conditions, condition(string(gatewayv1.ListenerSetConditionProgrammed), false, programmed.reason, programmed.message))
	}
	for _, l := range listeners {
		p.verdict.Listeners = append(p.verdict.Listeners, l.verdict())
	}
	return p
}

// accepts tells whether the ListenerSet counts as attached (GatewayStatus.attachedListenerSets).
func (p *parent) accepts() bool {
	return slices.ContainsFunc(p.verdict.Conditions, func(c routing.Condition) bool {
		return c.Type == string(gatewayv1.ListenerSetConditionAccepted) && c.Status == "True"
	})
}

func invalidNames(listeners []*listener) []string {
	var names []string
	for _, l := range listeners {
		if !l.valid() {
			names = append(names, string(l.name))
		}
	}
	return names
}

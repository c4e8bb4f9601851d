package route

import (
	"fmt"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

// gateway is a Gateway of one of our classes by itself: before its listeners meet
// those of its ListenerSets (see merge.go).
type gateway struct {
	key           events.Key
	spec          *gatewayv1.GatewaySpec
	layout        Layout
	listenAddress string
	tenancy       *tenancy
	log           parameters.AccessLog
	edge          parameters.Edge
	// accepted is why it is not accepted, programmed why it cannot be reached as it
	// asks for. serves tells whether its listeners and those of its ListenerSets can be
	// served at all.
	accepted, programmed problem
	assigned             *routing.Condition // AddressesAssigned; nil where nothing is said of it
	serves               bool
	listeners            []*listener // with what concerns each alone
	// infrastructure is what its Envoys need around them for its own listeners; nil
	// when it is not accepted, or where none are provisioned.
	infrastructure *routing.Infrastructure
	// clientCertificate is the Secret that it presents to backends; "" for none.
	// Unresolved is why it is not there.
	clientCertificate string
	unresolved        problem
	verdict           routing.Verdict // identity and addresses
}

// gatewayKey is the key of a Gateway that is named namespace/name.
func gatewayKey(name string) events.Key {
	namespace, gatewayName, _ := strings.Cut(name, "/")
	return events.Key{Resource: events.Gateways, Namespace: namespace, Name: gatewayName}
}

func (t *Tables) computeGateway(r *reader, name string) *gateway {
	key := gatewayKey(name)
	o, gw := get[gatewayv1.Gateway](r, key)
	if gw == nil {
		return nil
	}
	c := r.class(string(gw.Spec.GatewayClassName))
	if c == nil {
		return nil
	}
	settings := r.settings()
	want, unsupported := requestsOf(gw)
	g := &gateway{key: key, spec: &gw.Spec, layout: c.layout, listenAddress: settings.ListenAddress, tenancy: (*tenancy)(c.Tenancy), log: c.Log, edge: c.Edge, accepted: gatewayProblem(o, gw, c, unsupported), verdict: *newVerdict(o)}
	for i := range gw.Spec.Listeners {
		g.listeners = append(g.listeners, newListener(r, g, key, &gw.Spec.Listeners[i]))
	}
	g.serves = g.accepted.ok()
	switch {
	case !settings.Provisioned:
		g.verdict.Addresses = []string{settings.ListenAddress}
		g.programmed = elsewhere(want, settings.ListenAddress)
		g.serves = g.serves && g.programmed.ok()
	case g.accepted.ok():
		// An address that is missing stops no listener: what can be reached goes on.
		want = ofService(want)
		g.infrastructure = infrastructureOf(o, gw, want, settings)
		c.Proxy.Into(g.infrastructure)
		at := reachedAt(r, o, g.infrastructure.Name, want, c.experimental)
		g.verdict.Addresses, g.verdict.Routabilities, g.assigned, g.programmed = at.addresses, at.routabilities, at.assigned, at.programmed
	}
	g.clientCertificate, g.unresolved = g.resolveClientCertificate(r)
	return g
}

// gatewayProblem is the reason for which a Gateway is not accepted.
func gatewayProblem(o *fold.Object, gw *gatewayv1.Gateway, c *class, unsupported problem) problem {
	switch {
	case !unsupported.ok():
		return unsupported
	case gw.Spec.Infrastructure != nil && gw.Spec.Infrastructure.ParametersRef != nil:
		return problem{string(gatewayv1.GatewayReasonInvalidParameters),
			fmt.Sprintf("spec.infrastructure.parametersRef names a %s, which Rutter does not read; remove it.", gw.Spec.Infrastructure.ParametersRef.Kind)}
	case !c.state.Runs(o):
		return problem{string(gatewayv1.GatewayReasonInvalidParameters), fmt.Sprintf("The GatewayClass %s is not accepted: %s", gw.Spec.GatewayClassName, c.problem)}
	}
	return problem{}
}

func gatewayConditions(listeners []*listener, accepted, programmed, resolved problem) []routing.Condition {
	var invalid, unresolved []string
	served := 0
	for _, l := range listeners {
		if !l.accepted.ok() || !l.conflict.ok() {
			invalid = append(invalid, string(l.name))
		}
		if !l.resolved.ok() {
			unresolved = append(unresolved, string(l.name))
		}
		if l.served {
			served++
		}
	}
	acceptedCondition := accepted.condition(string(gatewayv1.GatewayConditionAccepted), string(gatewayv1.GatewayReasonAccepted), "The Gateway is accepted.")
	if accepted.ok() && len(invalid) > 0 {
		others := "The others are accepted."
		if len(invalid) == len(listeners) {
			others = "No other is left."
		}
		acceptedCondition = condition(acceptedCondition.Type, len(invalid) < len(listeners), string(gatewayv1.GatewayReasonListenersNotValid),
			fmt.Sprintf("Listeners that cannot be accepted: %s. %s", strings.Join(invalid, ", "), others))
	}
	if resolved.ok() && len(unresolved) > 0 {
		resolved = problem{string(gatewayv1.GatewayReasonListenersNotResolved), fmt.Sprintf("Listeners with references that cannot be resolved: %s.", strings.Join(unresolved, ", "))}
	}
	conditions := []routing.Condition{
		acceptedCondition,
		resolved.condition(string(gatewayv1.GatewayConditionResolvedRefs), string(gatewayv1.GatewayReasonResolvedRefs), "All references are resolved."),
	}
	if programmed.ok() && served == 0 {
		programmed = problem{string(gatewayv1.GatewayReasonInvalid), "No listener can be served; see the conditions of the listeners."}
	}
	if !programmed.ok() {
		conditions = append(conditions, condition(string(gatewayv1.GatewayConditionProgrammed), false, programmed.reason, programmed.message))
	}
	return conditions
}

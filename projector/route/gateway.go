package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// gateway is a Gateway of one of our classes, resolved.
type gateway struct {
	// public is what Envoy listens on; nil when nothing can be served.
	public *Gateway
	// infrastructure is what its Envoys need around them; nil when it is not
	// accepted, or where none are provisioned.
	infrastructure *routing.Infrastructure
	listeners      []*listener
	// clientCertificate is the Secret that it presents to backends; "" for none.
	clientCertificate string
	verdict           routing.Verdict // without attachedRoutes
}

// served are the listeners that requests can reach.
func (g *gateway) served(port int32, over transport) []*listener {
	var out []*listener
	for _, l := range g.listeners {
		if l.served && l.port == port && transportOf(l.protocol) == over {
			out = append(out, l)
		}
	}
	return out
}

// owner is the one listener of a port that answers hostname: the most specific
// (GatewaySpec.listeners, "Listener Isolation"). Nil if none does.
func (g *gateway) owner(port int32, over transport, hostname string) *listener {
	var best *listener
	for _, l := range g.served(port, over) {
		if covers(l.hostname, hostname) && (best == nil || covers(best.hostname, l.hostname)) {
			best = l
		}
	}
	return best
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
	g := &gateway{verdict: *newVerdict(o)}
	for i := range gw.Spec.Listeners {
		g.listeners = append(g.listeners, newListener(r, gw, &gw.Spec.Listeners[i]))
	}
	findConflicts(g.listeners)

	settings := r.settings()
	want := requestsOf(gw)
	accepted, programmed := gatewayProblem(gw, c, want), problem{}
	serves := accepted.ok()
	switch {
	case !settings.Provisioned:
		g.verdict.Addresses = []string{settings.ListenAddress}
		programmed = want.elsewhere(settings.ListenAddress)
		serves = serves && programmed.ok()
	case accepted.ok():
		// An address that is missing stops no listener: what can be reached goes on.
		want = want.forService()
		g.infrastructure = infrastructureOf(o, gw, want.addresses, settings)
		g.verdict.Addresses, programmed = addressesOf(r, o, g.infrastructure.Name, want)
	}
	for _, l := range g.listeners {
		l.settle(serves)
		g.verdict.Listeners = append(g.verdict.Listeners, l.verdict())
	}
	certificate, unresolved := clientCertificate(r, gw)
	g.clientCertificate = certificate
	g.verdict.Conditions = append(gatewayConditions(g.listeners, accepted, programmed, unresolved), insecureClients(gw)...)
	if chains := chainsOf(g.listeners); len(chains) > 0 {
		g.public = &Gateway{Key: key, Layout: c.layout, ListenAddress: settings.ListenAddress, Chains: chains}
	}
	return g
}

// built is the infrastructure of a Gateway that may not exist.
func (g *gateway) built() *routing.Infrastructure {
	if g == nil {
		return nil
	}
	return g.infrastructure
}

// gatewayProblem is the reason for which a Gateway is not accepted.
func gatewayProblem(gw *gatewayv1.Gateway, c *class, want requests) problem {
	switch {
	case !want.unsupported.ok():
		return want.unsupported
	case gw.Spec.Infrastructure != nil && gw.Spec.Infrastructure.ParametersRef != nil:
		return problem{string(gatewayv1.GatewayReasonInvalidParameters),
			fmt.Sprintf("spec.infrastructure.parametersRef names a %s, which Rutter does not read; remove it.", gw.Spec.Infrastructure.ParametersRef.Kind)}
	case !c.accepted:
		return problem{string(gatewayv1.GatewayReasonInvalidParameters), fmt.Sprintf("The GatewayClass %s is not accepted: %s", gw.Spec.GatewayClassName, c.message)}
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

// chainsOf are the Envoy filter chains of the listeners that are served.
func chainsOf(listeners []*listener) []Chain {
	chains := map[string]Chain{}
	for _, l := range listeners {
		if l.served {
			chains[l.chain()] = Chain{
				ID: l.chain(), Port: l.port, Stream: l.stream(), TLS: l.terminates(), Passthrough: l.passthrough,
				ServerName: l.serverName(), Certificates: l.certificates, Clients: l.clients,
			}
		}
	}
	sorted := make([]Chain, 0, len(chains))
	for _, c := range chains { //determinism: sorted below
		sorted = append(sorted, c)
	}
	slices.SortFunc(sorted, func(a, b Chain) int { return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.ID, b.ID)) })
	return sorted
}

// hosts are the virtual hosts that a Gateway has before any route: one per
// listener hostname, which answers 404 until a route attaches, and in each HTTPS
// chain those of the other listeners, which answer 421. A stream has none.
func (g *gateway) hosts() []HostID {
	if g == nil || g.public == nil {
		return nil
	}
	name := g.public.Name()
	var hosts []HostID
	for _, l := range g.listeners {
		if !l.served || l.stream() != "" {
			continue
		}
		hosts = append(hosts, HostID{name, l.chain(), l.hostname})
		if l.protocol == gatewayv1.HTTPSProtocolType {
			for _, other := range g.served(l.port, overTLS) {
				hosts = append(hosts, HostID{name, l.chain(), other.hostname})
			}
		}
	}
	return hosts
}

// secrets are the certificates that a Gateway presents to clients, and by which it
// validates theirs.
func (g *gateway) secrets() []SecretID {
	if g == nil || g.public == nil {
		return nil
	}
	var secrets []SecretID
	for _, c := range g.public.Chains {
		for _, certificate := range c.Certificates {
			secrets = append(secrets, SecretID{g.public.Name(), certificate})
		}
		if c.Clients != nil {
			secrets = append(secrets, SecretID{g.public.Name(), c.Clients.CA})
		}
	}
	return secrets
}

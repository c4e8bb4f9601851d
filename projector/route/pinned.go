package route

import (
	"reflect"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// setPins takes over which RoutingPin of a Gateway is in force.
func (b *builder) setPins(gateway string, next *pins) {
	t, old := b.t, b.t.pins[gateway]
	if !replace(t.pins, gateway, next) {
		return
	}
	was, is := old.orEmpty(), next.orEmpty()
	for key := range was.verdicts { //determinism: what changes is sorted at the end
		if is.verdicts[key] == nil {
			b.setVerdict(key, nil)
		}
	}
	for key, v := range is.verdicts { //determinism: what changes is sorted at the end
		b.setVerdict(key, v)
	}
	t.graph.mark(verdictOf(gatewayKey(gateway)))
	if reflect.DeepEqual(was.inForce, is.inForce) {
		return
	}
	b.change.Pins = append(b.change.Pins, gateway)
	before, after := was.inForce.secrets(gateway), is.inForce.secrets(gateway)
	need(b, before, after, secretOutput)
	b.change.Secrets = append(append(b.change.Secrets, before...), after...)
	if was.inForce.same(is.inForce) {
		return
	}
	t.graph.touch(pinOf(gateway))
	for _, p := range t.merged[gateway].orEmpty().parents {
		t.graph.mark(verdictOf(p.key))
	}
	if (was.inForce == nil) != (is.inForce == nil) {
		b.switched = append(b.switched, gateway)
	}
}

func (p *pins) orEmpty() *pins {
	if p == nil {
		return &pins{}
	}
	return p
}

// same tells whether two put the same in force, whatever of it is denied.
func (p *Pin) same(o *Pin) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Key == o.Key && p.Version == o.Version && p.Content == o.Content
}

func (p *Pin) secrets(gateway string) []SecretID {
	if p == nil {
		return nil
	}
	var out []SecretID
	for _, name := range p.Content.Secrets() {
		out = append(out, SecretID{gateway, name})
	}
	return out
}

// addAll names every output of a Gateway: which of them are published changes with a pin
// that comes or goes.
func (b *builder) addAll(gateway string) {
	c, t := &b.change, b.t
	c.Gateways = append(c.Gateways, gateway)
	for id, hosts := range t.hosts { //determinism: sorted at the end
		if id.gateway != gateway {
			continue
		}
		for hostname := range hosts { //determinism: sorted at the end
			c.Hosts = append(c.Hosts, HostID{gateway, id.chain, hostname})
		}
	}
	for id := range t.clusters { //determinism: sorted at the end
		if id.Gateway == gateway {
			c.Clusters = append(c.Clusters, id)
		}
	}
	for id := range t.secrets { //determinism: sorted at the end
		if id.Gateway == gateway {
			c.Secrets = append(c.Secrets, id)
		}
	}
}

// waits tells whether a pin keeps back what was recorded at since.
func (p *Pin) waits(since uint64, incarnation string) bool {
	return p != nil && (p.Version.Incarnation != incarnation || since > p.Version.Sequence)
}

const waitsMessage = "This generation is later than the routing that is in force, and waits: the Gateway is pinned to version "

const absentMessage = "The routing that is in force has no rule of this route, which its parent accepted later, and which waits: the Gateway is pinned to version "

// tellRoute is what a pin has to say on a route that its parent accepts: that it is kept
// back, if it is.
func (p *Pin) tellRoute(o *fold.Object, incarnation string) []routing.Condition {
	var message string
	switch {
	case p.waits(o.Since, incarnation):
		message = waitsMessage
	case p.Content.Lacks(o.Key):
		message = absentMessage
	default:
		return nil
	}
	return []routing.Condition{condition(routing.ConditionProgrammed, false, "Pinned", message+p.Version.String()+".")}
}

// tellPinned adds to the verdict on a Gateway or a ListenerSet what is pinned, and that
// this generation waits, where it does.
func (t *Tables) tellPinned(v *routing.Verdict, gateway, incarnation string) {
	p := t.pins[gateway].orEmpty()
	if v.Object.Resource == events.Gateways {
		switch {
		case p.inForce != nil:
			v.Conditions = append(slices.Clip(v.Conditions), condition(routing.ConditionPinned, true, "Pinned", p.inForce.says))
		case !p.refused.ok():
			v.Conditions = append(slices.Clip(v.Conditions), condition(routing.ConditionPinned, false, p.refused.reason, p.refused.message))
		}
	}
	if !p.inForce.waits(v.Since, incarnation) {
		return
	}
	waits := condition(string(gatewayv1.GatewayConditionProgrammed), false, string(gatewayv1.GatewayReasonPending), waitsMessage+p.inForce.Version.String()+".")
	v.Conditions = withCondition(v.Conditions, waits)
	for i := range v.Listeners { // which are the verdict's own
		v.Listeners[i].Conditions = withCondition(v.Listeners[i].Conditions, waits)
	}
}

// withCondition is conditions with c, unless there is one of its type.
func withCondition(conditions []routing.Condition, c routing.Condition) []routing.Condition {
	if slices.ContainsFunc(conditions, func(d routing.Condition) bool { return d.Type == c.Type }) {
		return conditions
	}
	return append(slices.Clip(conditions), c)
}

// withPinnedPorts is what the Envoys of a Gateway need around them for what a pin has
// them listen on.
func withPinnedPorts(live *routing.Infrastructure, p *Pin) *routing.Infrastructure {
	if live == nil || p == nil || p.Content.Infrastructure == nil {
		return live
	}
	out := new(*live)
	out.Ports = p.Content.Infrastructure.Ports
	return out
}

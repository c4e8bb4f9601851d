package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// ancestorID is a Gateway through which a Service that policies are for is reached.
type ancestorID struct {
	service events.Key
	gateway string
}

// setPolicy recomputes a BackendTLSPolicy. Whoever has read a Service that it is
// for, or was, has to look again.
func (b *builder) setPolicy(n node, key events.Key, r *reader) {
	t, old := b.t, b.t.policies[key]
	next := t.computePolicy(r, key)
	if !replace(t.policies, key, next) {
		return
	}
	t.graph.touch(n)
	t.graph.mark(policyVerdict(key))
	is := next.services()
	for _, service := range old.services() {
		if !slices.Contains(is, service) {
			t.targets[service].remove(key)
			b.retarget(service)
		}
	}
	for _, service := range is {
		if t.targets[service] == nil {
			t.targets[service] = &set[events.Key]{}
		}
		t.targets[service].add(key)
		b.retarget(service)
	}
}

func (b *builder) retarget(service events.Key) {
	t := b.t
	t.graph.touch(objectOf(service))
	b.markPolicies(service)
	if t.targets[service].len() == 0 {
		delete(t.targets, service)
	}
}

// markPolicies asks for the status of all policies for a Service.
func (b *builder) markPolicies(service events.Key) {
	b.t.targets[service].each(func(key events.Key) { b.t.graph.mark(policyVerdict(key)) })
}

func (p *policy) services() []events.Key {
	var out []events.Key
	if p != nil {
		for _, t := range p.targets {
			out = appendNew(out, t.service)
		}
	}
	return out
}

// setAncestors counts for each Gateway the routes by which a Service is reached.
func (b *builder) setAncestors(was, is []ancestorID) {
	t := b.t
	for _, id := range was {
		if slices.Contains(is, id) {
			continue
		}
		gateways := t.ancestors[id.service]
		if gateways[id.gateway]--; gateways[id.gateway] == 0 {
			delete(gateways, id.gateway)
			b.markPolicies(id.service)
		}
		if len(gateways) == 0 {
			delete(t.ancestors, id.service)
		}
	}
	for _, id := range is {
		if slices.Contains(was, id) {
			continue
		}
		if t.ancestors[id.service] == nil {
			t.ancestors[id.service] = map[string]int{}
		}
		if t.ancestors[id.service][id.gateway]++; t.ancestors[id.service][id.gateway] == 1 {
			b.markPolicies(id.service)
		}
	}
}

// computePolicyVerdict says for each Gateway through which one of its Services is
// reached what became of a policy (PolicyAncestorStatus); nil where there is none.
func (t *Tables) computePolicyVerdict(r *reader, key events.Key) *routing.Verdict {
	p := t.policies[key]
	reached := map[string][]target{}
	if p != nil {
		for _, to := range p.targets {
			for gateway := range t.ancestors[to.service] { //determinism: the targets of one Gateway keep their order
				reached[gateway] = append(reached[gateway], to)
			}
		}
	}
	if len(reached) == 0 {
		return nil
	}
	v := p.verdict
	for _, gateway := range slices.Sorted(maps.Keys(reached)) {
		namespace, name, _ := strings.Cut(gateway, "/")
		group, kind := gatewayv1.GroupName, "Gateway"
		v.Ancestors = append(v.Ancestors, routing.ParentVerdict{
			Ref:     routing.ParentRef{Group: &group, Kind: &kind, Namespace: &namespace, Name: name},
			Gateway: gateway, Conditions: t.policyConditions(r, p, reached[gateway]),
		})
	}
	return &v
}

// policyConditions are those of one ancestor. A policy is accepted while it is in
// force for one target that is reached there.
func (t *Tables) policyConditions(r *reader, p *policy, reached []target) []routing.Condition {
	var inForce int
	var first problem
	var notes []string
	for _, to := range reached {
		missed := t.missed(r, p, to)
		if missed.ok() {
			inForce++
			continue
		}
		if first.ok() {
			first = missed
		}
		notes = append(notes, missed.message)
	}
	accepted := p.accepted
	if inForce == 0 {
		accepted = first
	}
	if p.stale != "" {
		notes = append([]string{"Fall back to its last good version: " + p.stale + "."}, notes...)
	}
	message := strings.Join(append([]string{"The policy is accepted."}, notes...), " ")
	return []routing.Condition{
		accepted.condition(string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.PolicyReasonAccepted), message),
		p.resolved.condition(string(gatewayv1.BackendTLSPolicyConditionResolvedRefs), string(gatewayv1.BackendTLSPolicyReasonResolvedRefs), "All references are resolved."),
	}
}

// missed is why a policy is not in force for one of its targets.
func (t *Tables) missed(r *reader, p *policy, to target) problem {
	_, service := get[fold.Service](r, to.service)
	name := to.service.Namespace + "/" + to.service.Name
	if other := t.rival(p, to); other != nil {
		return problem{string(gatewayv1.PolicyReasonConflicted), fmt.Sprintf("The older policy %s takes precedence for the Service %s.", other.order.name, name)}
	}
	switch {
	case service == nil:
		return problem{string(gatewayv1.PolicyReasonTargetNotFound), fmt.Sprintf("The Service %s does not exist.", name)}
	case !to.exists(service):
		return problem{string(gatewayv1.PolicyReasonTargetNotFound), fmt.Sprintf("The Service %s has no port named %s.", name, to.section)}
	}
	return problem{}
}

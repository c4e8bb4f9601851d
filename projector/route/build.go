package route

import (
	"reflect"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// Build brings the tables up to date with a state of which the keys in dirty
// changed since the last Build, and says which outputs came out different. All
// keys of the state plus [events.EpochKey] of EVENTS on new tables is building
// from scratch; the result is the same.
func (t *Tables) Build(s *fold.State, dirty []events.Key) Change {
	b := &builder{t: t, state: s}
	t.Recomputed = 0
	for _, key := range dirty {
		b.seed(key)
	}
	for l := classNode; l < layers; l++ {
		for _, v := range t.graph.take(l) {
			t.Recomputed++
			b.recompute(v)
		}
	}
	for _, gateway := range b.switched {
		b.addAll(gateway)
	}
	return b.change.normalised()
}

// builder is one Build.
type builder struct {
	t      *Tables
	state  *fold.State
	change Change
	// switched are the Gateways for which a pin came or went.
	switched []string
	// noted is the room for what one output reads.
	noted []node
}

// seed marks what a changed key leads to: the output of the object itself and
// all that read it.
func (b *builder) seed(key events.Key) {
	g := &b.t.graph
	switch key.Resource {
	case events.GatewayClasses:
		g.mark(node{layer: classNode, a: key.Name})
	case events.Gateways:
		g.mark(node{layer: gatewayNode, a: key.Namespace + "/" + key.Name})
	case events.BackendTLSPolicies:
		g.mark(policyOf(key))
	case events.ListenerSets:
		g.mark(listenerSetOf(key))
	case events.RoutingPins:
		b.indexPin(key)
	case events.ReferenceGrants:
		b.indexGrant(key)
		g.touch(node{layer: grantsNode, a: key.Namespace})
	case events.EpochKey("").Resource:
		g.touch(node{layer: settingsNode})
	case events.CustomResourceDefinitions:
		g.touch(node{layer: definitionsNode})
	case events.SyncKey("").Resource:
		g.touch(node{layer: unlistedNode})
	}
	if Attaches(key.Resource) {
		g.mark(attachmentOf(key))
	}
	g.touch(objectOf(key))
}

func (b *builder) indexGrant(key events.Key) {
	grants := b.t.grants[key.Namespace]
	if b.state.Object(key) == nil {
		delete(grants, key)
		if len(grants) == 0 {
			delete(b.t.grants, key.Namespace)
		}
		return
	}
	if grants == nil {
		grants = map[events.Key]struct{}{}
		b.t.grants[key.Namespace] = grants
	}
	grants[key] = struct{}{}
}

func (b *builder) recompute(v *vertex) {
	t, r, n := b.t, &reader{state: b.state, t: b.t, noted: b.noted[:0]}, v.node
	v.dirty = false
	switch n.layer {
	case classNode:
		key := events.Key{Resource: events.GatewayClasses, Name: n.a}
		r.own = objectOf(key)
		next, verdict := t.computeClass(r, n.a)
		b.setVerdict(key, verdict)
		if replace(t.classes, n.a, next) {
			t.graph.touch(n)
		}
	case policyNode:
		key := events.Key{Resource: events.BackendTLSPolicies, Namespace: n.a, Name: n.b}
		r.own = objectOf(key)
		b.setPolicy(n, key, r)
	case gatewayNode:
		r.own = objectOf(gatewayKey(n.a))
		b.setGateway(n, t.computeGateway(r, n.a))
	case pinNode:
		b.setPins(n.a, t.computePins(r, n.a))
	case listenerSetNode:
		key := events.Key{Resource: events.ListenerSets, Namespace: n.a, Name: n.b}
		r.own = objectOf(key)
		b.setListenerSet(n, key, t.computeListenerSet(r, key))
	case mergedNode:
		b.setMerged(n.a, t.computeMerged(r, n.a))
	case attachmentNode:
		key := events.Key{Resource: n.a, Namespace: n.b, Name: n.c}
		r.own = objectOf(key)
		b.setAttachment(key, r)
	case hostNode:
		b.setHost(v, r)
	case clusterNode:
		b.setCluster(v, r)
	case secretNode:
		id := SecretID{n.a, n.b}
		var next *Secret
		if v.needed > 0 {
			next = t.computeSecret(r, id)
		}
		if replace(t.secrets, id, next) {
			b.change.Secrets = append(b.change.Secrets, id)
		}
	case verdictNode:
		b.setParentVerdict(events.Key{Resource: n.a, Namespace: n.b, Name: n.c})
	case routeVerdictNode:
		b.setRouteVerdict(events.Key{Resource: n.a, Namespace: n.b, Name: n.c})
	case policyVerdictNode:
		key := events.Key{Resource: events.BackendTLSPolicies, Namespace: n.a, Name: n.b}
		b.setVerdict(key, t.computePolicyVerdict(r, key))
	}
	b.noted = r.noted
	t.graph.setReads(v, r.noted)
}

// need says what is needed by something that needed what was.
func need[ID comparable](b *builder, was, is []ID, output func(ID) node) {
	if slices.Equal(was, is) {
		return
	}
	for _, id := range is {
		b.t.graph.need(output(id), 1)
	}
	for _, id := range was {
		b.t.graph.need(output(id), -1)
	}
}

func clusterOutput(id ClusterID) node { return node{layer: clusterNode, a: id.Gateway, b: id.Name} }
func secretOutput(id SecretID) node   { return node{layer: secretNode, a: id.Gateway, b: id.Name} }

// replace stores a recomputed output (nil: there is none) and tells whether it
// differs from the one before.
func replace[K comparable, V any](m map[K]*V, key K, next *V) bool {
	old := m[key]
	if old == nil && next == nil || old != nil && next != nil && reflect.DeepEqual(old, next) {
		return false
	}
	if next == nil {
		delete(m, key)
	} else {
		m[key] = next
	}
	return true
}

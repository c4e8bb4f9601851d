package route

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
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
		for _, n := range t.graph.take(l) {
			t.Recomputed++
			b.recompute(n)
		}
	}
	return b.change.normalised()
}

// builder is one Build.
type builder struct {
	t      *Tables
	state  *fold.State
	change Change
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
	case events.HTTPRoutes:
		g.mark(node{layer: attachmentNode, a: key.Namespace, b: key.Name})
	case events.ReferenceGrants:
		b.indexGrant(key)
		g.touch(node{layer: grantsNode, a: key.Namespace})
	case events.EpochKey("").Resource:
		g.touch(node{layer: settingsNode})
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

func (b *builder) recompute(n node) {
	t, r := b.t, &reader{state: b.state, t: b.t}
	switch n.layer {
	case classNode:
		next, verdict := t.computeClass(r, n.a)
		b.setVerdict(events.Key{Resource: events.GatewayClasses, Name: n.a}, verdict)
		if replace(t.classes, n.a, next) {
			t.graph.touch(n)
		}
	case gatewayNode:
		b.setGateway(n, t.computeGateway(r, n.a))
	case attachmentNode:
		b.setAttachment(events.Key{Resource: events.HTTPRoutes, Namespace: n.a, Name: n.b}, r)
	case hostNode:
		b.setHost(n, r)
	case clusterNode:
		id := ClusterID{n.a, n.b}
		var next *Cluster
		if t.needs[n] > 0 {
			next = t.computeCluster(r, id)
		}
		if replace(t.clusters, id, next) {
			b.change.Clusters = append(b.change.Clusters, id)
		}
	case secretNode:
		id := SecretID{n.a, n.b}
		var next *Secret
		if t.needs[n] > 0 {
			next = t.computeSecret(r, id)
		}
		if replace(t.secrets, id, next) {
			b.change.Secrets = append(b.change.Secrets, id)
		}
	case verdictNode:
		b.setGatewayVerdict(n.a)
	}
	if n.layer != verdictNode {
		t.graph.setReads(n, r.noted)
	}
}

// setGateway takes over a recomputed Gateway and what it needs.
func (b *builder) setGateway(n node, next *gateway) {
	t, old := b.t, b.t.gateways[n.a]
	b.need(outputs(old.hosts(), hostOutput), outputs(next.hosts(), hostOutput))
	b.need(outputs(old.secrets(), secretOutput), outputs(next.secrets(), secretOutput))
	t.graph.mark(node{layer: verdictNode, a: n.a})
	var before, after *Gateway
	if old != nil {
		before = old.public
	}
	if next != nil {
		after = next.public
	}
	if !replace(t.gateways, n.a, next) {
		return
	}
	t.graph.touch(n)
	if reflect.DeepEqual(before, after) {
		return
	}
	b.change.Gateways = append(b.change.Gateways, n.a)
	b.change.Hosts = append(b.change.Hosts, goneChains(before, after)...)
	if before != nil && after != nil && before.Layout != after.Layout {
		for _, chain := range before.Chains {
			for _, h := range t.Hosts(n.a, chain.ID) {
				b.change.Hosts = append(b.change.Hosts, h.ID)
			}
		}
	}
}

// goneChains stand for all that belonged to chains which are in no table any more.
func goneChains(before, after *Gateway) []HostID {
	if before == nil {
		return nil
	}
	var gone []HostID
	for _, c := range before.Chains {
		if after == nil || !slices.ContainsFunc(after.Chains, func(d Chain) bool { return d.ID == c.ID }) {
			gone = append(gone, HostID{before.Name(), c.ID, anyHost})
		}
	}
	return gone
}

// setAttachment recomputes a route and takes over what it contributes.
func (b *builder) setAttachment(key events.Key, r *reader) {
	t, old := b.t, b.t.attachments[key]
	next := t.computeAttachment(r, key)
	var verdict *routing.Verdict
	if next != nil {
		verdict = next.verdict
	}
	b.setVerdict(key, verdict)
	if !replace(t.attachments, key, next) {
		return
	}
	was, is := old.orEmpty(), next.orEmpty()
	b.need(outputs(was.hosts, hostOutput), outputs(is.hosts, hostOutput))
	b.need(outputs(was.clusters, clusterOutput), outputs(is.clusters, clusterOutput))
	b.setMembers(key, was, is)
	b.setAttached(was.attachedTo(), is.attachedTo())
}

func (a *attachment) orEmpty() *attachment {
	if a == nil {
		return &attachment{}
	}
	return a
}

// setMembers moves a route between the lists of its hostname patterns. Where its
// rules are as before, the hosts of patterns that stay are not touched.
func (b *builder) setMembers(key events.Key, was, is *attachment) {
	t := b.t
	sameRules := was.order == is.order && reflect.DeepEqual(was.rules, is.rules) && reflect.DeepEqual(was.matches, is.matches)
	for _, m := range was.members {
		if stays := slices.Contains(is.members, m); stays && sameRules {
			continue
		} else if !stays {
			delete(t.members[m], key)
			if len(t.members[m]) == 0 {
				delete(t.members, m)
			}
		}
		t.graph.touch(m.node())
	}
	for _, m := range is.members {
		if slices.Contains(was.members, m) {
			continue
		}
		if t.members[m] == nil {
			t.members[m] = map[events.Key]struct{}{}
		}
		t.members[m][key] = struct{}{}
		t.graph.touch(m.node())
	}
}

func (b *builder) setAttached(was, is []listenerID) {
	t := b.t
	for _, l := range was {
		if !slices.Contains(is, l) {
			if t.attached[l]--; t.attached[l] == 0 {
				delete(t.attached, l)
			}
			t.graph.mark(node{layer: verdictNode, a: l.gateway})
		}
	}
	for _, l := range is {
		if !slices.Contains(was, l) {
			t.attached[l]++
			t.graph.mark(node{layer: verdictNode, a: l.gateway})
		}
	}
}

func (b *builder) setHost(n node, r *reader) {
	t, id := b.t, HostID{n.a, n.b, n.c}
	var next *Host
	if t.needs[n] > 0 {
		next = t.computeHost(r, id)
	}
	hosts := t.hosts[chainOf(id)]
	if next != nil && hosts == nil {
		hosts = map[string]*Host{}
		t.hosts[chainOf(id)] = hosts
	}
	if replace(hosts, id.Hostname, next) {
		b.change.Hosts = append(b.change.Hosts, id)
	}
	if len(hosts) == 0 {
		delete(t.hosts, chainOf(id))
	}
}

// setGatewayVerdict adds the number of attached routes to what the Gateway's own
// layer found.
func (b *builder) setGatewayVerdict(name string) {
	namespace, gatewayName, _ := strings.Cut(name, "/")
	key := events.Key{Resource: events.Gateways, Namespace: namespace, Name: gatewayName}
	g := b.t.gateways[name]
	if g == nil {
		b.setVerdict(key, nil)
		return
	}
	v := g.verdict
	v.Listeners = slices.Clone(v.Listeners)
	for i := range v.Listeners {
		v.Listeners[i].AttachedRoutes = int32(b.t.attached[listenerID{name, v.Listeners[i].Name}])
	}
	b.setVerdict(key, &v)
}

func (b *builder) setVerdict(key events.Key, next *routing.Verdict) {
	old, had := b.t.verdicts[key]
	switch {
	case next == nil && !had, next != nil && had && reflect.DeepEqual(old, *next):
		return
	case next == nil:
		delete(b.t.verdicts, key)
	default:
		b.t.verdicts[key] = *next
	}
	b.change.Verdicts = append(b.change.Verdicts, key)
}

// need counts who needs an output: the first brings it up, the last takes it down.
func (b *builder) need(was, is []node) {
	for _, n := range is {
		if b.t.needs[n]++; b.t.needs[n] == 1 {
			b.t.graph.mark(n)
		}
	}
	for _, n := range was {
		if b.t.needs[n]--; b.t.needs[n] == 0 {
			delete(b.t.needs, n)
			b.t.graph.mark(n)
		}
	}
}

func outputs[ID any](ids []ID, output func(ID) node) []node {
	nodes := make([]node, 0, len(ids))
	for _, id := range ids {
		nodes = append(nodes, output(id))
	}
	return nodes
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

func (c Change) normalised() Change {
	slices.Sort(c.Gateways)
	c.Gateways = slices.Compact(c.Gateways)
	sortCompact(&c.Hosts, func(a, b HostID) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Hostname, b.Hostname))
	})
	sortCompact(&c.Clusters, func(a, b ClusterID) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Name, b.Name))
	})
	sortCompact(&c.Secrets, func(a, b SecretID) int { return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Name, b.Name)) })
	sortCompact(&c.Verdicts, events.Key.Compare)
	return c
}

func sortCompact[T comparable](list *[]T, compare func(a, b T) int) {
	slices.SortFunc(*list, compare)
	*list = slices.Compact(*list)
}

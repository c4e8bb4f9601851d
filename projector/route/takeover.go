package route

import (
	"reflect"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// setGateway takes over a recomputed Gateway by itself.
func (b *builder) setGateway(n node, next *gateway) {
	if replace(b.t.gateways, n.a, next) {
		b.t.graph.touch(n)
		b.t.graph.mark(mergedOf(n.a))
	}
}

// setListenerSet takes over a recomputed ListenerSet by itself, and keeps the index by
// Gateway.
func (b *builder) setListenerSet(n node, key events.Key, next *listenerSet) {
	t, old := b.t, b.t.sets[key]
	if !replace(t.sets, key, next) {
		return
	}
	t.graph.touch(n)
	if old != nil && (next == nil || next.gateway != old.gateway) {
		delete(t.setsOf[old.gateway], key)
		if len(t.setsOf[old.gateway]) == 0 {
			delete(t.setsOf, old.gateway)
		}
		t.graph.touch(node{layer: setsNode, a: old.gateway})
	}
	if next != nil && (old == nil || next.gateway != old.gateway) {
		if t.setsOf[next.gateway] == nil {
			t.setsOf[next.gateway] = map[events.Key]struct{}{}
		}
		t.setsOf[next.gateway][key] = struct{}{}
		t.graph.touch(node{layer: setsNode, a: next.gateway})
	}
}

// setMerged takes over the listeners of a Gateway and its ListenerSets, and touches
// those parts that came out different.
func (b *builder) setMerged(name string, next *merged) {
	t, old := b.t, b.t.merged[name]
	need(b, old.hosts(), next.hosts(), hostOutput)
	need(b, old.secrets(), next.secrets(), secretOutput)
	need(b, old.authClusters(), next.authClusters(), clusterOutput)
	if next == nil {
		delete(t.merged, name)
	} else {
		t.merged[name] = next
	}
	was, is := old.orEmpty(), next.orEmpty()
	b.setParents(name, was.parents, is.parents)
	b.touchOwners(name, was.owners, is.owners)
	b.setChains(name, was.public, is.public)
	if !reflect.DeepEqual(was.infrastructure, is.infrastructure) {
		b.change.Infrastructures = append(b.change.Infrastructures, name)
	}
	b.setPublic(name, was.public, is.public)
}

// setChains touches the chains that come and go. The latter are in no table any more:
// a host stands for all that belonged to one.
func (b *builder) setChains(name string, was, is *Gateway) {
	for _, id := range was.chainsNotIn(is) {
		b.t.graph.touch(chainOutput(chainID{name, id}))
		b.change.Hosts = append(b.change.Hosts, HostID{name, id, anyHost})
	}
	for _, id := range is.chainsNotIn(was) {
		b.t.graph.touch(chainOutput(chainID{name, id}))
	}
}

func (g *Gateway) chainsNotIn(other *Gateway) []string {
	if g == nil {
		return nil
	}
	var ids []string
	for i := range g.Chains {
		if other == nil || other.Chain(g.Chains[i].ID) == nil {
			ids = append(ids, g.Chains[i].ID)
		}
	}
	return ids
}

func (b *builder) setPublic(name string, before, after *Gateway) {
	if reflect.DeepEqual(before, after) {
		return
	}
	b.change.Gateways = append(b.change.Gateways, name)
	if before != nil && after != nil && before.Layout != after.Layout {
		for _, chain := range before.Chains {
			for _, h := range slices.Concat(b.t.Hosts(name, chain.ID), b.t.Hosts(name, MisdirectedChain(chain.Port))) {
				b.change.Hosts = append(b.change.Hosts, h.ID)
			}
		}
	}
}

// setParents takes over the objects that routes attach to. One that went to another
// Gateway is that one's.
func (b *builder) setParents(gateway string, was, is []*parent) {
	t := b.t
	stays := make(map[events.Key]bool, len(is))
	for _, next := range is {
		stays[next.key] = true
		old := t.parents[next.key]
		t.parents[next.key] = next
		if old == nil || old.gateway != next.gateway || old.refuses != next.refuses ||
			!reflect.DeepEqual(old.tenancy, next.tenancy) || !slices.EqualFunc(old.listeners, next.listeners, (*listener).sameForRoutes) {
			t.graph.touch(parentOf(next.key))
		}
		if old == nil || !reflect.DeepEqual(old.verdict, next.verdict) {
			t.graph.mark(verdictOf(next.key))
		}
	}
	for _, old := range was {
		if p := t.parents[old.key]; !stays[old.key] && p != nil && p.gateway == gateway {
			delete(t.parents, old.key)
			t.graph.touch(parentOf(old.key))
			t.graph.mark(verdictOf(old.key))
		}
	}
}

// touchOwners touches the spots where another listener stands now.
func (b *builder) touchOwners(gateway string, was, is map[spot]*listener) {
	for at, old := range was { //determinism: what is marked is sorted before it is recomputed
		if next := is[at]; next == nil || next.id != old.id || next.chain() != old.chain() || (len(next.filters) > 0) != (len(old.filters) > 0) {
			b.t.graph.touch(spotOf(gateway, at))
		}
	}
	for at := range is { //determinism: what is marked is sorted before it is recomputed
		if was[at] == nil {
			b.t.graph.touch(spotOf(gateway, at))
		}
	}
}

// setAttachment recomputes a route and takes over what it contributes.
func (b *builder) setAttachment(key events.Key, r *reader) {
	t, old := b.t, b.t.attachments[key]
	next := t.computeAttachment(r, key)
	if !replace(t.attachments, key, next) {
		return
	}
	t.graph.mark(routeVerdictOf(key))
	was, is := old.orEmpty(), next.orEmpty()
	need(b, was.hosts, is.hosts, hostOutput)
	need(b, was.clusters, is.clusters, clusterOutput)
	b.setMembers(key, was, is)
	b.setAttached(was.attachedTo(), is.attachedTo())
	b.setAncestors(was.ancestors, is.ancestors)
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
	sameRules := was.order == is.order && reflect.DeepEqual(was.tenants, is.tenants) && reflect.DeepEqual(was.rules, is.rules) && reflect.DeepEqual(was.matches, is.matches)
	for _, m := range was.members {
		if stays := slices.Contains(is.members, m); stays && sameRules {
			continue
		} else if !stays {
			routes := t.members[m]
			if routes.remove(key); routes.len() == 0 {
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
			t.members[m] = &set[events.Key]{}
		}
		t.members[m].add(key)
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
			t.graph.mark(verdictOf(l.parent()))
		}
	}
	for _, l := range is {
		if !slices.Contains(was, l) {
			t.attached[l]++
			t.graph.mark(verdictOf(l.parent()))
		}
	}
}

func (b *builder) setHost(v *vertex, r *reader) {
	t, id := b.t, HostID{v.a, v.b, v.c}
	var next *Host
	if v.needed > 0 {
		next = t.computeHost(r, id)
	}
	hosts := t.hosts[chainOf(id)]
	if next != nil && hosts == nil {
		hosts = map[string]*Host{}
		t.hosts[chainOf(id)] = hosts
	}
	old := hosts[id.Hostname]
	if replace(hosts, id.Hostname, next) {
		b.touchShadowed(old, next)
		b.change.Hosts = append(b.change.Hosts, id)
	}
	if len(hosts) == 0 {
		delete(t.hosts, chainOf(id))
	}
}

// setCluster recomputes a cluster and takes over what it needs.
func (b *builder) setCluster(v *vertex, r *reader) {
	t, id := b.t, ClusterID{v.a, v.b}
	old := t.clusters[id]
	var next *Cluster
	if v.needed > 0 {
		next = t.computeCluster(r, id)
	}
	if replace(t.clusters, id, next) {
		b.change.Clusters = append(b.change.Clusters, id)
		need(b, old.secrets(), next.secrets(), secretOutput)
	}
}

// setParentVerdict adds the number of attached routes to what is known of a Gateway or
// a ListenerSet otherwise.
func (b *builder) setParentVerdict(key events.Key) {
	p := b.t.parents[key]
	if p == nil {
		b.setVerdict(key, nil)
		return
	}
	v := p.verdict
	v.Listeners = slices.Clone(v.Listeners)
	for i := range v.Listeners {
		v.Listeners[i].AttachedRoutes = int32(b.t.attached[listenerID{p.gateway, p.listeners[i].id}])
	}
	b.t.tellPinned(&v, p.gateway, b.state.Version.Incarnation)
	b.setVerdict(key, &v)
}

func (b *builder) setVerdict(key events.Key, next *routing.Verdict) {
	if replace(b.t.verdicts, key, next) {
		b.change.Verdicts = append(b.change.Verdicts, key)
	}
}

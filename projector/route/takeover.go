package route

import (
	"reflect"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

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
	if !reflect.DeepEqual(old.built(), next.built()) {
		b.change.Infrastructures = append(b.change.Infrastructures, n.a)
	}
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
	sameRules := was.order == is.order && reflect.DeepEqual(was.rules, is.rules) && reflect.DeepEqual(was.matches, is.matches)
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
	if replace(hosts, id.Hostname, next) {
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
		b.need(outputs(old.secrets(), secretOutput), outputs(next.secrets(), secretOutput))
	}
}

// setGatewayVerdict adds the number of attached routes to what the Gateway's own
// layer found.
func (b *builder) setGatewayVerdict(name string) {
	key := gatewayKey(name)
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
	if replace(b.t.verdicts, key, next) {
		b.change.Verdicts = append(b.change.Verdicts, key)
	}
}

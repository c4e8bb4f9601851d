package route

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// merged is what the listeners of a Gateway and of its ListenerSets come to together.
// It is computed as a whole, and what reads it reads single parts of it: a ListenerSet
// that comes or changes recomputes what depends on its own listeners.
type merged struct {
	// public is what Envoy listens on; nil when nothing can be served.
	public         *Gateway
	infrastructure *routing.Infrastructure
	// parents are the Gateway, the ListenerSets that it allows in the order of their
	// precedence, and those that it does not.
	parents []*parent
	// owners are the listeners that requests can reach.
	owners map[spot]*listener
}

func mergedOf(gateway string) node { return node{layer: mergedNode, a: gateway} }

// computeMerged merges by precedence (ListenerSetSpec.listeners): the Gateway, then the
// ListenerSets by age, then by name.
func (t *Tables) computeMerged(r *reader, name string) *merged {
	g := t.gateways[name] // setGateway marks, so that it need not be noted
	if g == nil {
		return nil
	}
	m := &merged{infrastructure: g.infrastructure, owners: map[spot]*listener{}}
	key := gatewayKey(name)
	claims := newClaims()
	own := m.take(claims, g, key, g.listeners)
	sets := r.listenerSets(name)
	ofSets := make([][]*listener, len(sets))
	for i, s := range sets {
		ofSets[i] = m.take(claims, g, s.key, s.listeners)
	}
	claims.findOverlaps()
	var attached int32
	m.parents = append(m.parents, nil) // the Gateway, which counts the others
	for i, s := range sets {
		p := s.settled(g, ofSets[i])
		if p.accepts() {
			attached++
		}
		m.parents = append(m.parents, p)
	}
	m.parents[0] = g.settled(own)
	if allowedFrom(g.spec.AllowedListeners) != gatewayv1.NamespacesFromNone {
		m.parents[0].verdict.AttachedListenerSets = &attached
	}
	m.infrastructure = withPinnedPorts(withPorts(g.infrastructure, ofSets), r.pin(name))
	if chains := m.allChains(); len(chains) > 0 {
		m.public = &Gateway{Key: key, Layout: g.layout, ListenAddress: g.listenAddress, AccessLog: g.log, Edge: g.edge, Tokens: g.tenancy.shared(), Chains: chains}
	}
	return m
}

// take settles the listeners of an object, as copies: which conflict, and which are served.
func (m *merged) take(c *claims, g *gateway, object events.Key, listeners []*listener) []*listener {
	settled := make([]*listener, len(listeners))
	for i, l := range listeners {
		settled[i] = new(*l)
	}
	c.add(object, settled)
	for _, l := range settled {
		if l.served = g.serves && l.valid(); l.served {
			m.owners[l.spot()] = l
		}
	}
	return settled
}

// settled is the Gateway among the listeners of its ListenerSets. Its conditions are
// about its own only (GEP-1713, "Gateway Conditions").
func (g *gateway) settled(listeners []*listener) *parent {
	p := &parent{key: g.key, gateway: g.key.Namespace + "/" + g.key.Name, listeners: listeners, tenancy: g.tenancy, verdict: g.verdict}
	for _, l := range listeners {
		p.verdict.Listeners = append(p.verdict.Listeners, l.verdict())
	}
	p.verdict.Conditions = append(gatewayConditions(listeners, g.accepted, g.programmed, g.unresolved), g.insecureClients()...)
	if g.assigned != nil {
		p.verdict.Conditions = append(p.verdict.Conditions, *g.assigned)
	}
	return p
}

// allChains are the Envoy filter chains of the listeners that are served.
func (m *merged) allChains() []Chain {
	chains := map[string]Chain{}
	for _, l := range m.owners { //determinism: those of one chain give the same, and differ only in whose they are; sorted below
		c := Chain{
			ID: l.chain(), Port: l.port, Stream: l.stream(), TLS: l.terminates(), Passthrough: l.passthrough,
			ServerName: l.serverName(), Certificates: l.certificates, Clients: l.clients,
		}
		other, several := chains[c.ID]
		c.Auth = authOf(other.Auth, l.asks())
		if l.object.Resource == events.ListenerSets && (!several || other.Owner == l.object) {
			c.Owner = l.object
		}
		chains[c.ID] = c
	}
	sorted := make([]Chain, 0, len(chains))
	for _, c := range chains { //determinism: sorted below
		sorted = append(sorted, c)
	}
	slices.SortFunc(sorted, Chain.compare)
	return sorted
}

// hosts are the virtual hosts that a Gateway has before any route: one per
// listener hostname, which answers 404 until a route attaches, and those that answer
// 421 on HTTPS. A stream has none.
func (m *merged) hosts() []HostID {
	if m == nil || m.public == nil {
		return nil
	}
	name := m.public.Name()
	over, https := map[int32]int{}, map[int32]bool{} // listeners with TLS by port
	for at, l := range m.owners {                    //determinism: counts and flags
		if at.over == overTLS {
			over[at.port]++
			https[at.port] = https[at.port] || l.stream() == ""
		}
	}
	var hosts []HostID
	for at, l := range m.owners { //determinism: hosts are counted, in any order
		if l.stream() == "" {
			hosts = append(hosts, HostID{name, l.chain(), at.hostname})
		}
		if at.over == overTLS && https[at.port] && over[at.port] > 1 {
			hosts = m.addMisdirected(hosts, name, at)
		}
	}
	return hosts
}

// addMisdirected adds the hosts by which a hostname of one listener is refused on the
// chains of the others: one on each chain whose own hostname covers it, and for all the
// rest one on the port. Only few hostnames cover another one, so that this is in
// proportion to the listeners.
func (m *merged) addMisdirected(hosts []HostID, gateway string, at spot) []HostID {
	hosts = append(hosts, HostID{gateway, MisdirectedChain(at.port), at.hostname})
	for _, pattern := range covering(at.hostname)[1:] {
		if wide := m.owners[spot{at.port, overTLS, pattern}]; wide != nil && wide.stream() == "" {
			hosts = append(hosts, HostID{gateway, wide.chain(), at.hostname})
		}
	}
	return hosts
}

// secrets are the certificates that a Gateway presents to clients, and by which it
// validates theirs.
func (m *merged) secrets() []SecretID {
	if m == nil || m.public == nil {
		return nil
	}
	var secrets []SecretID
	for _, c := range m.public.Chains {
		for _, certificate := range c.Certificates {
			secrets = append(secrets, SecretID{m.public.Name(), certificate})
		}
		if c.Clients != nil {
			secrets = append(secrets, SecretID{m.public.Name(), c.Clients.CA})
		}
	}
	return secrets
}

func (m *merged) orEmpty() *merged {
	if m == nil {
		return &merged{}
	}
	return m
}

package envoy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/route"
)

const testGateway = "default/gw"

// world is a small in-memory Tables.
type world struct {
	gateways map[string]*route.Gateway
	hosts    map[route.HostID]*route.Host
	clusters map[route.ClusterID]*route.Cluster
	secrets  map[route.SecretID]*route.Secret
}

// newWorld has one Gateway with the chains.
func newWorld(layout route.Layout, chains ...route.Chain) *world {
	w := &world{
		gateways: map[string]*route.Gateway{},
		hosts:    map[route.HostID]*route.Host{},
		clusters: map[route.ClusterID]*route.Cluster{},
		secrets:  map[route.SecretID]*route.Secret{},
	}
	slices.SortFunc(chains, func(a, b route.Chain) int { return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.ID, b.ID)) })
	w.gateways[testGateway] = &route.Gateway{
		Key:           events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"},
		Layout:        layout,
		ListenAddress: "127.0.0.1",
		Chains:        chains,
	}
	return w
}

func (w *world) Gateway(name string) *route.Gateway        { return w.gateways[name] }
func (w *world) Host(id route.HostID) *route.Host          { return w.hosts[id] }
func (w *world) Cluster(id route.ClusterID) *route.Cluster { return w.clusters[id] }
func (w *world) Pin(string) *route.Pin                     { return nil }
func (w *world) Secret(id route.SecretID) *route.Secret    { return w.secrets[id] }
func (w *world) Hosts(gateway, chain string) (out []*route.Host) {
	for id, h := range w.hosts {
		if id.Gateway == gateway && id.Chain == chain {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *route.Host) int { return cmp.Compare(a.ID.Hostname, b.ID.Hostname) })
	return out
}

// withLayout is the same world in another layout.
func (w *world) withLayout(layout route.Layout) *world {
	c := *w
	g := *w.gateways[testGateway]
	g.Layout = layout
	c.gateways = map[string]*route.Gateway{testGateway: &g}
	return &c
}

// host adds a host of a chain.
func (w *world) host(chain, hostname string, entries ...route.Entry) *route.Host {
	id := route.HostID{Gateway: testGateway, Chain: chain, Hostname: hostname}
	for i := range entries {
		if entries[i].Name == "" {
			entries[i].Name = fmt.Sprintf("default/r/%d/0", i)
		}
	}
	h := &route.Host{ID: id, Entries: entries}
	w.hosts[id] = h
	return h
}

// cluster adds a backend. Its endpoint resource has the cluster's name.
func (w *world) cluster(name string, p route.Protocol) {
	id := route.ClusterID{Gateway: testGateway, Name: name}
	w.clusters[id] = &route.Cluster{ID: id, Service: events.Key{Resource: events.Services, Namespace: "default", Name: name}, Endpoints: name, Protocol: p}
}

// everything is the change that touches all there is.
func (w *world) everything() route.Change {
	c := route.Change{Gateways: slices.Sorted(maps.Keys(w.gateways))}
	for id := range w.hosts {
		c.Hosts = append(c.Hosts, id)
	}
	slices.SortFunc(c.Hosts, func(a, b route.HostID) int {
		return cmp.Or(cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Hostname, b.Hostname))
	})
	for id := range w.clusters {
		c.Clusters = append(c.Clusters, id)
	}
	slices.SortFunc(c.Clusters, func(a, b route.ClusterID) int { return cmp.Compare(a.Name, b.Name) })
	for id := range w.secrets {
		c.Secrets = append(c.Secrets, id)
	}
	slices.SortFunc(c.Secrets, func(a, b route.SecretID) int { return cmp.Compare(a.Name, b.Name) })
	return c
}

// outputs are those of a change; one with a problem fails the test.
func outputs(t testing.TB, w *world, c route.Change) []Output {
	t.Helper()
	out := Resources(w, c)
	for _, o := range out {
		if o.Problem != "" {
			t.Errorf("%v: %s", o.ID, o.Problem)
		}
	}
	return out
}

func httpChain(port int32) route.Chain {
	return route.Chain{ID: fmt.Sprintf("http-%d", port), Port: port}
}

func prefix(p string) route.Match {
	return route.Match{Path: route.PathMatch{Kind: route.Prefix, Value: p}}
}

func exactly(p string) route.Match {
	return route.Match{Path: route.PathMatch{Kind: route.Exact, Value: p}}
}

// rule sends to backends in equal shares.
func rule(backends ...string) *route.Rule {
	r := &route.Rule{Route: events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"}}
	for _, b := range backends {
		r.Backends = append(r.Backends, route.Backend{Cluster: b, Weight: 1})
	}
	return r
}

// filtered is a rule with filters.
func filtered(f route.Filters, backends ...string) *route.Rule {
	r := rule(backends...)
	r.Filters = f
	return r
}

func entry(m route.Match, r *route.Rule) route.Entry { return route.Entry{Match: m, Rule: r} }

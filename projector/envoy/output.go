package envoy

import (
	"cmp"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
	"github.com/rutter-gateway/rutter/projector/route"
)

// The type URLs of the resources.
const (
	TypeListener = form.TypeListener
	TypeRoute    = form.TypeRoute
	TypeScope    = form.TypeScope
	TypeCluster  = form.TypeCluster
	TypeEndpoint = form.TypeEndpoint
	TypeSecret   = form.TypeSecret

	TypeExtension = form.TypeExtension
)

// The kinds of output.
const (
	KindListeners = "listeners" // Name is ""
	KindRoutes    = "routes"    // Name is the chain
	KindScope     = "scope"     // Name is chain/hostname, or chain/* for all wildcard hosts
	KindCluster   = "cluster"   // Name is that of the cluster
	KindSecret    = "secret"    // Name is that of the secret
	KindPinned    = "pinned"    // Name is the type and the name of a resource, with a space in between
)

// Tables is what the package reads. Nil means that there is no such thing (any more).
type Tables interface {
	Gateway(name string) *route.Gateway
	Host(id route.HostID) *route.Host
	// Hosts are those of a chain, sorted by hostname.
	Hosts(gateway, chain string) []*route.Host
	Cluster(id route.ClusterID) *route.Cluster
	Secret(id route.SecretID) *route.Secret
	// Pin is what is in force for a Gateway in the place of all that, but for secrets.
	Pin(gateway string) *route.Pin
}

// OutputID names what is recomputed as a whole.
type OutputID struct{ Gateway, Kind, Name string }

// Compare orders outputs by Gateway, kind and name.
func (o OutputID) Compare(p OutputID) int {
	return cmp.Or(cmp.Compare(o.Gateway, p.Gateway), cmp.Compare(o.Kind, p.Kind), cmp.Compare(o.Name, p.Name))
}

// Output is the present state of one output.
type Output struct {
	ID OutputID
	// Resources are empty when the output is gone or has no place in the layout.
	Resources []routing.Resource
	// Problem is set when what was made breaks a rule of the Envoy API: a fault of this
	// program, which must not take the rest with it. Resources are then without it, and
	// empty where nothing else is in them.
	Problem string
}

// Resources builds every output that a change touches, each once: Gateways in
// the order given, then hosts, clusters and secrets, and what is pinned. While a Gateway
// is pinned its other outputs are empty, but for the secrets that the pin needs.
//
// A chain is touched by its Gateway and by each of its hosts. One that ceases to
// exist is in no table any more, so a change must name a host of it; HostID
// {gateway, chain, "*"} always serves, whether there ever was such a host or not.
func Resources(t Tables, c route.Change) []Output {
	b := builder{tables: t, done: map[OutputID]bool{}}
	for _, name := range c.Gateways {
		b.add(OutputID{name, KindListeners, ""}, b.listeners)
		if g := t.Gateway(name); g != nil {
			for _, chain := range g.Chains {
				if chain.Stream != "" {
					continue
				}
				b.host(route.HostID{Gateway: name, Chain: chain.ID, Hostname: "*"})
			}
		}
	}
	for _, id := range c.Hosts {
		b.host(id)
	}
	for _, id := range c.Clusters {
		b.add(OutputID{id.Gateway, KindCluster, id.Name}, b.cluster)
	}
	for _, id := range c.Secrets {
		b.add(OutputID{id.Gateway, KindSecret, id.Name}, b.secret)
	}
	for _, name := range c.Pins {
		b.pinned(name)
	}
	return b.outputs
}

// builder collects outputs, each once.
type builder struct {
	tables  Tables
	done    map[OutputID]bool
	outputs []Output
}

// host adds the two outputs that a host is in, one per layout; a stream is all in
// the listeners, and what is misdirected on a port in the routes of all its chains.
func (b *builder) host(id route.HostID) {
	if b.stream(id) {
		b.add(OutputID{id.Gateway, KindListeners, ""}, b.listeners)
		return
	}
	for _, chain := range b.chainsOfPort(id) {
		b.add(OutputID{id.Gateway, KindRoutes, chain}, b.routes)
	}
	b.add(OutputID{id.Gateway, KindRoutes, id.Chain}, b.routes)
	b.add(OutputID{id.Gateway, KindScope, id.Chain + "/" + scopeHost(id)}, b.scope)
}

// add computes an output, unless that was done already. What is built beside an error is
// what is not affected by it.
func (b *builder) add(id OutputID, build func(OutputID) ([]routing.Resource, error)) {
	if b.done[id] {
		return
	}
	b.done[id] = true
	if pin := b.tables.Pin(id.Gateway); pin != nil {
		build = b.underPin(pin)
	}
	resources, err := build(id)
	out := Output{ID: id, Resources: resources}
	if err != nil {
		out.Problem = err.Error()
	}
	b.outputs = append(b.outputs, out)
}

// chain is a chain of a Gateway that has the layout; nil if there is none.
func (b *builder) chain(gateway, id string, layout route.Layout) (*route.Gateway, *route.Chain) {
	g := b.tables.Gateway(gateway)
	if g == nil || layoutOf(g) != layout {
		return g, nil
	}
	if c := g.Chain(id); c != nil && c.Stream == "" {
		return g, c
	}
	return g, nil
}

// chainsOfPort are the HTTPS chains that a host on [route.MisdirectedChain] concerns, in
// the plain layout.
func (b *builder) chainsOfPort(id route.HostID) []string {
	g := b.tables.Gateway(id.Gateway)
	if g == nil || layoutOf(g) != route.LayoutPlain || !route.IsMisdirected(id.Chain) {
		return nil
	}
	var chains []string
	for i := range g.Chains {
		if g.Chains[i].TLS && g.Chains[i].Stream == "" && route.MisdirectedChain(g.Chains[i].Port) == id.Chain {
			chains = append(chains, g.Chains[i].ID)
		}
	}
	return chains
}

// stream tells whether a host is of a chain that forwards a stream.
func (b *builder) stream(id route.HostID) bool {
	g := b.tables.Gateway(id.Gateway)
	if g == nil {
		return false
	}
	c := g.Chain(id.Chain)
	return c != nil && c.Stream != ""
}

// layoutOf is the one place that chooses between the layouts.
func layoutOf(g *route.Gateway) route.Layout {
	if g.Layout == route.LayoutScoped {
		return route.LayoutScoped
	}
	return route.LayoutPlain
}

// message is what protoc-gen-validate adds to the messages of the Envoy API.
type message interface {
	proto.Message
	ValidateAll() error
}

// resource is the published form of a message.
func resource(typeURL, name string, m message, origin events.Key) (routing.Resource, error) {
	body, err := encode(m)
	if err != nil {
		return routing.Resource{}, fmt.Errorf("%s %s: %w", typeURL[strings.LastIndexByte(typeURL, '.')+1:], name, err)
	}
	return routing.Resource{
		ResourceName: routing.ResourceName{Type: typeURL, Name: name},
		Digest:       routing.DigestOf(body),
		Body:         body,
		Origin:       origin,
	}, nil
}

// encode validates and serialises. Deterministic: map entries are sorted.
func encode(m message) ([]byte, error) {
	if err := m.ValidateAll(); err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// anyOf wraps an extension's configuration.
func anyOf(m message) (*anypb.Any, error) {
	body, err := encode(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", proto.MessageName(m), err)
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(proto.MessageName(m)), Value: body}, nil
}

// fixed is [anyOf] for configuration that this package writes out in full, so
// that only a fault in the program can make it invalid.
func fixed(m message) *anypb.Any {
	wrapped, err := anyOf(m)
	if err != nil {
		panic("envoy: a constant configuration is invalid: " + err.Error())
	}
	return wrapped
}

package route

import (
	"cmp"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// layer says what a node is. Outputs are recomputed in this order, so that a
// layer reads only what is already up to date.
type layer uint8

const (
	objectNode      layer = iota // leaf: an object of the log, existing or not
	grantsNode                   // leaf: the ReferenceGrants of a namespace
	settingsNode                 // leaf: the settings of the epoch
	definitionsNode              // leaf: the CustomResourceDefinitions of the Gateway API
	unlistedNode                 // leaf: which resources could not be listed
	classNode                    // GatewayClass
	policyNode                   // BackendTLSPolicy
	gatewayNode                  // Gateway by itself
	pinNode                      // the RoutingPins of a Gateway
	listenerSetNode              // ListenerSet by itself
	setsNode                     // leaf of mergedNode: the ListenerSets of a Gateway
	mergedNode                   // the listeners of a Gateway and of its ListenerSets
	parentNode                   // leaf of what follows: the listeners of a Gateway or a ListenerSet
	spotNode                     // leaf: the listener on a spot
	chainNode                    // leaf: a filter chain
	attachmentNode               // a route
	membersNode                  // leaf of the hosts: the routes of a listener with a hostname pattern
	hostNode
	clusterNode
	secretNode
	verdictNode       // status of a Gateway or a ListenerSet
	routeVerdictNode  // status of a route
	policyVerdictNode // status of a BackendTLSPolicy
	layers
)

// node names an input or an output: which of a, b and c are used depends on the layer.
type node struct {
	layer   layer
	a, b, c string
}

func (n node) compare(o node) int {
	return cmp.Or(cmp.Compare(n.layer, o.layer), cmp.Compare(n.a, o.a), cmp.Compare(n.b, o.b), cmp.Compare(n.c, o.c))
}

func attachmentOf(key events.Key) node {
	return node{attachmentNode, key.Resource, key.Namespace, key.Name}
}

func policyOf(key events.Key) node { return node{layer: policyNode, a: key.Namespace, b: key.Name} }

func policyVerdict(key events.Key) node {
	return node{layer: policyVerdictNode, a: key.Namespace, b: key.Name}
}

func objectOf(key events.Key) node { return node{objectNode, key.Resource, key.Namespace, key.Name} }

// vertex is a node with its place in the graph. There is one for each node that is
// of use, and those that use it point to it: names are long.
type vertex struct {
	node
	// reads are the inputs of an output, users the outputs that read this.
	reads []*vertex
	users set[*vertex]
	// needed counts who needs an output: a host, a cluster or a secret exists while
	// one does.
	needed int32
	dirty  bool
}

// graph remembers which output read which input, and what is to be recomputed.
type graph struct {
	vertices map[node]*vertex
	dirty    [layers][]*vertex
}

func newGraph(objects int) graph { return graph{vertices: make(map[node]*vertex, 2*objects)} }

// vertex is that of n, made where it is missing.
func (g *graph) vertex(n node) *vertex {
	v := g.vertices[n]
	if v == nil {
		v = &vertex{node: n}
		g.vertices[n] = v
	}
	return v
}

// tidy forgets a vertex that is of no use any more.
func (g *graph) tidy(v *vertex) {
	if len(v.reads) == 0 && v.users.len() == 0 && v.needed == 0 && !v.dirty {
		delete(g.vertices, v.node)
	}
}

// mark asks for an output to be recomputed.
func (g *graph) mark(output node) { g.markVertex(g.vertex(output)) }

func (g *graph) markVertex(v *vertex) {
	if !v.dirty {
		v.dirty = true
		g.dirty[v.layer] = append(g.dirty[v.layer], v)
	}
}

// touch marks every output that read input.
func (g *graph) touch(input node) {
	if v := g.vertices[input]; v != nil {
		v.users.each(g.markVertex)
	}
}

// take returns the marked outputs of a layer, sorted. Each counts as marked until it
// is recomputed.
func (g *graph) take(l layer) []*vertex {
	marked := g.dirty[l]
	g.dirty[l] = nil
	slices.SortFunc(marked, func(a, b *vertex) int { return a.compare(b.node) })
	return marked
}

// need counts one more (or, with -1, one less) who needs an output. The first
// brings it up, the last takes it down.
func (g *graph) need(output node, more int32) {
	v := g.vertex(output)
	v.needed += more
	if v.needed == 0 || v.needed == 1 && more > 0 {
		g.markVertex(v)
	}
}

// setReads replaces what output reads. It sorts inputs, and does not keep them.
func (g *graph) setReads(output *vertex, inputs []node) {
	before := output.reads
	slices.SortFunc(inputs, node.compare)
	inputs = slices.Compact(inputs)
	if slices.EqualFunc(before, inputs, func(v *vertex, n node) bool { return v.node == n }) {
		g.tidy(output)
		return // as most often; nothing is looked up
	}
	output.reads = nil
	if len(inputs) > 0 {
		output.reads = make([]*vertex, len(inputs))
	}
	for i, n := range inputs {
		in := g.vertex(n)
		in.users.add(output)
		output.reads[i] = in
	}
	// Both are sorted, so that what is no longer read is found in one pass.
	rest := output.reads
	for _, in := range before {
		for len(rest) > 0 && rest[0].compare(in.node) < 0 {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0] != in {
			in.users.remove(output)
			g.tidy(in)
		}
	}
	g.tidy(output)
}

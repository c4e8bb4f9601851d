package route

import (
	"cmp"
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// layer says what a node is. Outputs are recomputed in this order, so that a
// layer reads only what is already up to date.
type layer uint8

const (
	objectNode     layer = iota // leaf: an object of the log, existing or not
	grantsNode                  // leaf: the ReferenceGrants of a namespace
	settingsNode                // leaf: the settings of the epoch
	classNode                   // GatewayClass
	gatewayNode                 // Gateway
	attachmentNode              // a route
	membersNode                 // leaf of the hosts: the routes of a listener with a hostname pattern
	hostNode
	clusterNode
	secretNode
	verdictNode
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

func objectOf(key events.Key) node { return node{objectNode, key.Resource, key.Namespace, key.Name} }

// graph remembers which output read which input, and what is to be recomputed.
type graph struct {
	reads map[node][]node
	users map[node]*nodeSet
	dirty [layers]map[node]struct{}
}

func newGraph(objects int) graph {
	g := graph{reads: make(map[node][]node, 2*objects), users: make(map[node]*nodeSet, 2*objects)}
	for i := range g.dirty {
		g.dirty[i] = map[node]struct{}{}
	}
	return g
}

// mark asks for an output to be recomputed.
func (g *graph) mark(output node) { g.dirty[output.layer][output] = struct{}{} }

// touch marks every output that read input.
func (g *graph) touch(input node) {
	if users := g.users[input]; users != nil {
		users.each(g.mark)
	}
}

// take empties the marks of a layer and returns them sorted.
func (g *graph) take(l layer) []node {
	marked := slices.SortedFunc(maps.Keys(g.dirty[l]), node.compare)
	clear(g.dirty[l])
	return marked
}

// setReads replaces what output reads.
func (g *graph) setReads(output node, inputs []node) {
	for _, in := range g.reads[output] {
		users := g.users[in]
		users.remove(output)
		if users.len() == 0 {
			delete(g.users, in)
		}
	}
	if len(inputs) == 0 {
		delete(g.reads, output)
		return
	}
	slices.SortFunc(inputs, node.compare)
	inputs = slices.Clip(slices.Compact(inputs))
	g.reads[output] = inputs
	for _, in := range inputs {
		if g.users[in] == nil {
			g.users[in] = &nodeSet{}
		}
		g.users[in].add(output)
	}
}

// nodeSet is a set of nodes that is small for most inputs and large for a few.
type nodeSet struct {
	few  []node
	many map[node]struct{}
}

const fewNodes = 8

func (s *nodeSet) len() int { return len(s.few) + len(s.many) }

func (s *nodeSet) add(n node) {
	switch {
	case s.many != nil:
		s.many[n] = struct{}{}
	case slices.Contains(s.few, n):
	case len(s.few) < fewNodes:
		s.few = append(s.few, n)
	default:
		s.many = map[node]struct{}{n: {}}
		for _, f := range s.few {
			s.many[f] = struct{}{}
		}
		s.few = nil
	}
}

func (s *nodeSet) remove(n node) {
	if s.many != nil {
		delete(s.many, n)
		return
	}
	if i := slices.Index(s.few, n); i >= 0 {
		s.few = slices.Delete(s.few, i, i+1)
	}
}

func (s *nodeSet) each(do func(node)) {
	for _, n := range s.few {
		do(n)
	}
	for n := range s.many { //determinism: do only marks, and marks are taken sorted
		do(n)
	}
}

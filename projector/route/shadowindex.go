package route

import (
	"slices"
	"strings"
)

// maxCompared bounds how many entries one is compared with. What it costs to look for
// shadows is so in proportion to the entries of a host, also where somebody has a
// thousand rules for one path; beyond it, a shadow may not be found.
const maxCompared = 64

// shadowIndex finds entries that match whatever another one matches, among those
// before it: by their paths, and there by one of their further conditions. Entries that
// are shadowed are not in it: what shadows them shadows all that they would.
type shadowIndex struct {
	demands [][]demand // by entry
	shelves map[PathMatch]*shelf
}

// shelf are the entries with one path: those without further conditions, and the others
// each under one of them.
type shelf struct {
	all    []int
	asking map[demand][]int
}

// demand is a condition of a match, other than its path.
type demand struct {
	on string
	ValueMatch
}

func newShadowIndex(entries int) *shadowIndex {
	return &shadowIndex{demands: make([][]demand, entries), shelves: make(map[PathMatch]*shelf, entries)}
}

// place takes up an entry, which comes after all those before it, unless one of them
// shadows it: then that is the answer, the first one; otherwise -1.
func (x *shadowIndex) place(entry int, m *Match) int {
	demands := m.demands()
	if by := x.find(&m.Path, demands); by >= 0 {
		return by
	}
	x.demands[entry] = demands
	s := x.shelves[m.Path]
	if s == nil {
		s = &shelf{}
		x.shelves[m.Path] = s
	}
	s.add(entry, demands)
	return -1
}

func (s *shelf) add(entry int, demands []demand) {
	if len(demands) == 0 {
		s.all = append(s.all, entry)
		return
	}
	if s.asking == nil {
		s.asking = map[demand][]int{}
	}
	// Where fewest are: a condition that many share tells little.
	under := demands[0]
	for _, d := range demands[1:] {
		if len(s.asking[d]) < len(s.asking[under]) {
			under = d
		}
	}
	s.asking[under] = append(s.asking[under], entry)
}

func (x *shadowIndex) find(path *PathMatch, demands []demand) int {
	first, left := -1, maxCompared
	look := func(entries []int) {
		for _, i := range entries {
			if first >= 0 && i >= first || left == 0 {
				return
			}
			left--
			if !slices.ContainsFunc(x.demands[i], func(d demand) bool { return !slices.Contains(demands, d) }) {
				first = i
			}
		}
	}
	for wide := range path.covering {
		if s := x.shelves[wide]; s != nil {
			look(s.all)
			for _, d := range demands {
				look(s.asking[d])
			}
		}
	}
	return first
}

// covering are conditions on paths that surely hold wherever p does: itself, and the
// prefixes of its elements. Nothing but itself is known of a regular expression.
func (p *PathMatch) covering(yield func(PathMatch) bool) {
	if !yield(*p) || p.Kind == Regex || !strings.HasPrefix(p.Value, "/") {
		return
	}
	if p.Kind == Exact && !yield(PathMatch{Prefix, p.Value}) {
		return
	}
	for i := len(p.Value) - 1; i > 0; i-- {
		if p.Value[i] == '/' && !yield(PathMatch{Prefix, p.Value[:i]}) {
			return
		}
	}
	yield(PathMatch{Prefix, "/"})
}

func (m *Match) demands() []demand {
	var out []demand
	if m.GRPC != nil {
		out = append(out, demand{on: "grpc"})
	}
	if m.Method != "" {
		out = append(out, demand{"method", ValueMatch{Kind: Exact, Value: m.Method}})
	}
	for _, h := range m.Headers {
		out = append(out, demand{"header", h})
	}
	for _, q := range m.Query {
		out = append(out, demand{"query", q})
	}
	return out
}

package route

import (
	"cmp"
	"time"
)

// order is what decides between routes whose matches are equally specific: the
// oldest first, then by namespace/name (HTTPRouteRule.matches).
type order struct {
	created time.Time
	name    string
}

func (o order) compare(p order) int {
	return cmp.Or(o.created.Compare(p.created), cmp.Compare(o.name, p.name))
}

// candidate is an entry of a host with all that decides its place.
type candidate struct {
	specificity int // of the route's hostname: 0 is the most specific
	// own is set where the host is there for the route, and not for one with a narrower hostname.
	own         bool
	order       order
	rule, match int
	entry       Entry
}

// compare orders by precedence (HTTPRouteSpec.hostnames, HTTPRouteRule.matches):
// hostname, exact path, longest prefix, method, number of headers, number of
// query parameters, age, name, place in the route. Regular expressions, whose
// place is the implementation's choice, come between exact paths and prefixes,
// longer ones first: they are usually written to carve something out of a prefix.
//
// Rules of GRPCRoutes, which only gRPC requests meet, go ahead of those of
// HTTPRoutes: the two are not merged. Among them decide the lengths of service and
// method, and the number of headers (GRPCRouteRule.matches).
func (c *candidate) compare(d *candidate) int {
	m, n := &c.entry.Match, &d.entry.Match
	return cmp.Or(
		cmp.Compare(c.specificity, d.specificity),
		-compareGRPC(m.GRPC, n.GRPC),
		cmp.Compare(pathRank(m.Path.Kind), pathRank(n.Path.Kind)),
		-cmp.Compare(len(m.Path.Value), len(n.Path.Value)),
		-cmp.Compare(min(1, len(m.Method)), min(1, len(n.Method))),
		-cmp.Compare(len(m.Headers), len(n.Headers)),
		-cmp.Compare(len(m.Query), len(n.Query)),
		c.order.compare(d.order),
		cmp.Compare(c.rule, d.rule),
		cmp.Compare(c.match, d.match),
	)
}

// compareGRPC is positive where m takes precedence.
func compareGRPC(m, n *GRPCMatch) int {
	switch {
	case m == nil && n == nil:
		return 0
	case n == nil:
		return 1
	case m == nil:
		return -1
	}
	return cmp.Or(cmp.Compare(len(m.Service), len(n.Service)), cmp.Compare(len(m.Method), len(n.Method)))
}

func pathRank(kind MatchKind) int {
	switch kind {
	case Exact:
		return 0
	case Regex:
		return 1
	default:
		return 2
	}
}

package envoy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// specified is a set of routes as people write them, with what the specification of the
// Gateway API says of it. It shares nothing with packages route and evaluate: each match
// is compared with each request, and the order decides among those that it meets.
type specified struct {
	listeners []specifiedListener
	routes    []*specifiedRoute
}

type specifiedListener struct {
	name     string
	port     int
	hostname string // "" is any
}

type specifiedRoute struct {
	name      string // in the namespace default
	grpc      bool
	created   time.Time
	section   string // "" is every listener
	hostnames []string
	rules     [][]specifiedMatch
}

// specifiedMatch has the conditions of an HTTPRouteMatch or a GRPCRouteMatch; "" is none.
type specifiedMatch struct {
	kind, path      string
	service, method string
	headers, query  map[string]string
	regexps         bool // are the values of headers and query parameters
}

// specifiedRequest has nothing in it that Envoy would normalise.
type specifiedRequest struct {
	port               int
	host, method, path string
	headers, query     map[string]string
	grpc               bool
	service, procedure string
}

// contender is a match that a request meets.
type contender struct {
	route       *specifiedRoute
	rule, match int
	hostname    string // of the route: the most specific one that covers the request's
}

func (c contender) conditions() specifiedMatch { return c.route.rules[c.rule][c.match] }

// made is the name of the Envoy route that is made of it.
func (c contender) made() string {
	name := fmt.Sprintf("default/%s/%d/%d", c.route.name, c.rule, c.match)
	if c.route.grpc {
		return "grpc/" + name
	}
	return name
}

// criterion is one of those by which the order is decided; compare is negative where a
// takes precedence over b.
type criterion struct {
	name    string
	compare func(a, b contender) int
}

// most is where more takes precedence.
func most(number func(contender) int) func(a, b contender) int {
	return func(a, b contender) int { return cmp.Compare(number(b), number(a)) }
}

// precedence is the order of the specification (HTTPRouteSpec.hostnames,
// HTTPRouteRule.matches, GRPCRouteRule.matches), with the two choices that it leaves: gRPC
// requests meet GRPCRoutes first, and regular expressions come between exact paths and
// prefixes, longer ones first.
func precedence() []criterion {
	return []criterion{
		{"exact hostname", most(func(c contender) int {
			if strings.HasPrefix(c.hostname, "*") {
				return 0
			}
			return len(c.hostname)
		})},
		{"hostname", most(func(c contender) int { return len(c.hostname) })},
		{"GRPCRoute", most(func(c contender) int { return map[bool]int{true: 1}[c.route.grpc] })},
		{"service", most(func(c contender) int { return len(c.conditions().service) })},
		{"kind of path", most(func(c contender) int { return map[string]int{"Exact": 2, "RegularExpression": 1}[c.conditions().kind] })},
		{"path", most(func(c contender) int { return len(c.conditions().path) })},
		{"method", most(func(c contender) int {
			if c.route.grpc {
				return len(c.conditions().method)
			}
			return min(1, len(c.conditions().method))
		})},
		{"headers", most(func(c contender) int { return len(c.conditions().headers) })},
		{"query parameters", most(func(c contender) int { return len(c.conditions().query) })},
		{"age", func(a, b contender) int { return a.route.created.Compare(b.route.created) }},
		{"name", func(a, b contender) int { return cmp.Compare(a.route.name, b.route.name) }},
		{"rule", func(a, b contender) int { return cmp.Compare(a.rule, b.rule) }},
		{"match", func(a, b contender) int { return cmp.Compare(a.match, b.match) }},
	}
}

func inOrder(order []criterion) func(a, b contender) int {
	return func(a, b contender) int {
		for _, c := range order {
			if n := c.compare(a, b); n != 0 {
				return n
			}
		}
		return 0
	}
}

// meets are the matches that a request meets, by order: the first takes it.
func (s *specified) meets(r *specifiedRequest, order []criterion) []contender {
	var owner *specifiedListener
	for i, l := range s.listeners {
		if l.port == r.port && coversHost(l.hostname, r.host) && (owner == nil || moreSpecific(l.hostname, owner.hostname)) {
			owner = &s.listeners[i]
		}
	}
	var out []contender
	for _, route := range s.routes {
		hostname, covered := route.covers(r.host)
		if owner == nil || !covered || route.section != "" && route.section != owner.name {
			continue
		}
		for i, matches := range route.rules {
			for j, m := range matches {
				if m.meets(r, route.grpc) {
					out = append(out, contender{route, i, j, hostname})
				}
			}
		}
	}
	slices.SortFunc(out, inOrder(order))
	return out
}

// covers is the most specific hostname of a route that covers a host.
func (r *specifiedRoute) covers(host string) (hostname string, ok bool) {
	if len(r.hostnames) == 0 {
		return "", true
	}
	for _, h := range r.hostnames {
		if coversHost(h, host) && (!ok || moreSpecific(h, hostname)) {
			hostname, ok = h, true
		}
	}
	return hostname, ok
}

func coversHost(pattern, host string) bool {
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	return pattern == "" || pattern == host || wildcard && strings.HasSuffix(host, suffix) && len(host) > len(suffix)
}

func moreSpecific(a, b string) bool {
	if wildA, wildB := strings.HasPrefix(a, "*"), strings.HasPrefix(b, "*"); a != "" && b != "" && wildA != wildB {
		return wildB
	}
	return len(a) > len(b)
}

func (m specifiedMatch) meets(r *specifiedRequest, grpc bool) bool {
	if !m.holds(m.headers, r.headers) || !m.holds(m.query, r.query) {
		return false
	}
	if grpc {
		return r.grpc && (m.service == "" || m.service == r.service) && (m.method == "" || m.method == r.procedure)
	}
	if m.method != "" && m.method != r.method {
		return false
	}
	switch m.kind {
	case "Exact":
		return r.path == m.path
	case "PathPrefix":
		return m.path == "/" || r.path == m.path || strings.HasPrefix(r.path, m.path+"/")
	}
	return whole(m.path, r.path)
}

// holds tells whether all values that are asked for are there.
func (m specifiedMatch) holds(wanted, got map[string]string) bool {
	for name, value := range wanted {
		if m.regexps && !whole(value, got[name]) || !m.regexps && got[name] != value {
			return false
		}
	}
	return true
}

func whole(expression, text string) bool {
	return regexp.MustCompile("^(?:" + expression + ")$").MatchString(text)
}

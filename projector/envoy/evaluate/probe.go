package evaluate

import (
	"fmt"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// Probe is a request that meets the conditions of a route. Whether it ends there is
// for [Config.Answer] to say: another route may come first.
type Probe struct {
	Request
	// Chain, Host and Route are as in an [Answer].
	Chain, Host, Route string
}

// String names the request that it is, so that equal probes have equal names.
func (p *Probe) String() string { return fmt.Sprint(p.Request) }

// anyName stands where a wildcard does.
const anyName = "any"

// Probes are one request for each route of each host, in order. Of a route with a
// condition that is a regular expression there is none: it is not known what meets it.
func (c *Config) Probes() []Probe {
	var out []Probe
	for i := range c.chains {
		one := &c.chains[i]
		hosts := c.hosts[one.name]
		var names []string
		for name := range hosts { //determinism: sorted below
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			for entry := range form.Entries(hosts[name].GetRoutes()) {
				route := entry[len(entry)-1] // the last has the conditions of the rule alone
				p := Probe{Chain: one.name, Host: hosts[name].GetName(), Route: route.GetName()}
				if p.Route == form.RouteMisdirected || p.Route == form.RouteNoMatch {
					continue
				}
				p.Port, p.TLS, p.Authority = one.port, one.tls, concrete(name)
				p.ServerName = p.Authority
				if one.tls && one.serverName != "" && !covers(one.serverName, p.ServerName) {
					p.ServerName = concrete(one.serverName)
				}
				if p.meet(route.GetMatch()) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// concrete is a hostname that a pattern covers.
func concrete(pattern string) string {
	if pattern == "*" {
		return anyName + ".invalid"
	}
	if suffix, wildcard := strings.CutPrefix(pattern, "*"); wildcard {
		return anyName + suffix
	}
	return pattern
}

// meet makes the request one that meets a condition, and tells whether it can.
func (p *Probe) meet(m *routev3.RouteMatch) bool {
	p.Method = "GET"
	switch path := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		p.Target = path.Prefix
	case *routev3.RouteMatch_PathSeparatedPrefix:
		p.Target = path.PathSeparatedPrefix
	case *routev3.RouteMatch_Path:
		p.Target = path.Path
	default:
		return false
	}
	if m.GetPath() == "" { // a longer path than the prefix, which may have a route of its own
		p.Target = strings.TrimSuffix(p.Target, "/") + "/" + anyName
	}
	if m.GetGrpc() != nil {
		p.Method = "POST"
		p.Headers = append(p.Headers, Header{"content-type", "application/grpc"})
	}
	for _, h := range m.GetHeaders() {
		if present, ok := h.GetHeaderMatchSpecifier().(*routev3.HeaderMatcher_PresentMatch); ok {
			if present.PresentMatch {
				p.Headers = append(p.Headers, Header{h.GetName(), anyName})
			}
			continue
		}
		value := h.GetStringMatch().GetExact()
		if value == "" || h.GetInvertMatch() {
			return false
		}
		switch h.GetName() {
		case ":method":
			p.Method = value
		case ":authority":
			p.Authority = value
		default:
			p.Headers = append(p.Headers, Header{h.GetName(), value})
		}
	}
	for i, q := range m.GetQueryParameters() {
		if q.GetStringMatch().GetExact() == "" {
			return false
		}
		p.Target += map[bool]string{true: "?", false: "&"}[i == 0] + q.GetName() + "=" + q.GetStringMatch().GetExact()
	}
	return true
}

package envoy

import (
	"fmt"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
	"github.com/rutter-gateway/rutter/projector/route"
)

// virtualHost is a host in its layout.
type virtualHost struct {
	host *route.Host
	// final adds a last route that answers 404. A scope needs it: where no route
	// matches, a request has no route at all, and scope-fallback would look further.
	final bool
}

// routes is the output of a chain in the plain layout: one RouteConfiguration
// with all its hosts, even when there are none, because Envoy waits for it.
func (b *builder) routes(id OutputID) ([]routing.Resource, error) {
	g, chain := b.chain(id.Gateway, id.Name, route.LayoutPlain)
	if chain == nil {
		return nil, nil
	}
	var hosts []*virtualHost
	own := b.tables.Hosts(id.Gateway, id.Name)
	for _, h := range own {
		hosts = append(hosts, &virtualHost{host: h})
	}
	if chain.TLS {
		for _, h := range b.tables.Hosts(id.Gateway, route.MisdirectedChain(chain.Port)) {
			if !slices.ContainsFunc(own, func(o *route.Host) bool { return o.ID.Hostname == h.ID.Hostname }) {
				hosts = append(hosts, &virtualHost{host: h})
			}
		}
	}
	config, problem := routeConfiguration(id.Name, chain, hosts)
	return mended(config, problem, func() (routing.Resource, error) { return resource(TypeRoute, id.Name, config, originOf(g, hosts)) })
}

// mended is what config comes to, less the routes that break a rule of the Envoy API: a
// mistake of this program about one route must not cost those of others. The error says
// what is wrong, with config so far or with the first of these.
func mended(config *routev3.RouteConfiguration, problem error, publish func() (routing.Resource, error)) ([]routing.Resource, error) {
	r, err := publish()
	if err == nil {
		return []routing.Resource{r}, problem
	}
	if broken := mend(config); problem == nil {
		problem = broken
	}
	if r, err = publish(); err != nil {
		return nil, err
	}
	return []routing.Resource{r}, problem
}

// mend lets the routes that break a rule answer 500, and drops those of which not even
// the match can be kept. It returns what is wrong with the first.
func mend(config *routev3.RouteConfiguration) error {
	var first error
	for _, host := range config.VirtualHosts {
		host.Routes = slices.DeleteFunc(host.Routes, func(r *routev3.Route) bool {
			err := r.ValidateAll()
			if err == nil {
				return false
			}
			if first == nil {
				first = fmt.Errorf("host %q: route %s: %w", host.Name, r.Name, err)
			}
			name, match := r.Name, r.Match
			proto.Reset(r)
			r.Name, r.Match, r.Action = name, match, answer(500)
			return match.ValidateAll() != nil
		})
	}
	return first
}

// originOf is the object to tell when Envoy refuses the hosts: the first route
// in them, or the Gateway.
func originOf(g *route.Gateway, hosts []*virtualHost) events.Key {
	for _, h := range hosts {
		if len(h.host.Entries) > 0 {
			return h.host.Entries[0].Rule.Route
		}
	}
	return g.Key
}

// routeConfiguration is all hosts; the error is the first of what could not be said,
// which is answered with 500.
func routeConfiguration(name string, chain *route.Chain, hosts []*virtualHost) (*routev3.RouteConfiguration, error) {
	config := &routev3.RouteConfiguration{
		Name:                     name,
		IgnorePortInHostMatching: true,
		// Routes do not wait for clusters, and one cluster is missing on purpose.
		ValidateClusters: wrapperspb.Bool(false),
		// Backends never see it, whatever the layout and whoever sent it.
		RequestHeadersToRemove: []string{scopeHeader},
	}
	var problem error
	for _, h := range hosts {
		out, err := h.build(chain)
		if err != nil && problem == nil {
			problem = fmt.Errorf("host %q: %w", h.host.ID.Hostname, err)
		}
		config.VirtualHosts = append(config.VirtualHosts, out)
	}
	return config, problem
}

func (h *virtualHost) build(chain *route.Chain) (*routev3.VirtualHost, error) {
	out := &routev3.VirtualHost{Name: h.host.ID.Hostname, Domains: []string{h.host.ID.Hostname}}
	var problem error
	if h.host.Misdirected {
		out.Routes = []*routev3.Route{answerAll(form.RouteMisdirected, 421)}
		return out, nil
	}
	for i := range h.host.Entries {
		e := &h.host.Entries[i]
		routes, err := entryRoutes(chain, h.host.ID.Hostname, e)
		if err != nil {
			routes = []*routev3.Route{{Name: e.Name, Match: match(e.Match), Action: answer(500)}}
			if problem == nil {
				problem = fmt.Errorf("entry %s: %w", e.Name, err)
			}
		}
		out.Routes = append(out.Routes, routes...)
	}
	if h.final || h.host.Auth != "" {
		out.Routes = append(out.Routes, answerAll(form.RouteNoMatch, 404))
	}
	if h.host.Auth != "" {
		selecting(out.Routes, h.host.Auth)
	}
	return out, problem
}

// answerAll answers every request with a status.
func answerAll(name string, status uint32) *routev3.Route {
	return &routev3.Route{
		Name:   name,
		Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
		Action: answer(status),
	}
}

func answer(status uint32) *routev3.Route_DirectResponse {
	return &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: status}}
}

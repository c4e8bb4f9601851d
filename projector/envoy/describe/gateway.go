package describe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// Gateway is what the Envoys of one Gateway do.
type Gateway struct {
	// Name is namespace/name.
	Name string `json:"name"`
	// Listeners are sorted by port and name.
	Listeners []Listener `json:"listeners"`
	// Hosts are in the order of their listeners, then of their hostnames.
	Hosts []Host `json:"hosts"`
}

// Listener is what requests of one kind arrive at: an Envoy filter chain, or where a
// stream is forwarded one for each hostname.
type Listener struct {
	// Name is http-<port>, tcp-<port>, udp-<port>, or https-<port>-<listener of the
	// Gateway> or tls-<port>-<listener>.
	Name string `json:"name"`
	Port uint32 `json:"port"`
	// TLS ends here.
	TLS bool `json:"tls"`
	// ServerName is the SNI that leads here; "" is any.
	ServerName   string        `json:"serverName,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	// Clients says which certificates clients have to present; "" is none.
	Clients string `json:"clients,omitempty"`
	// Filters are what requests pass before a rule is chosen, in this order, each with the
	// listener whose requests do.
	Filters []string `json:"filters,omitempty"`
	ca      string   // the secret by which they are validated
}

// Host is what happens to requests for one hostname on one listener.
type Host struct {
	Listener string `json:"listener"`
	// Hostname is a name, *.name, or * for any.
	Hostname string `json:"hostname"`
	// Misdirected is set where another listener answers for the name, although that of
	// this one covers it: every request gets 421.
	Misdirected bool `json:"misdirected,omitempty"`
	// Rules are tried in order; a request that none matches gets 404. Of a stream
	// there is one, for all connections.
	Rules []Rule `json:"rules"`
}

// Of describes what was published for the Gateway called name. The error names
// the resource that cannot be read.
func Of(name string, resources map[routing.ResourceName]routing.Resource) (*Gateway, error) {
	g := &Gateway{Name: name, Listeners: []Listener{}, Hosts: []Host{}}
	certificates := map[string]Certificate{}
	clusters, authorities := map[string]upstream{}, map[string]string{}
	for _, id := range slices.SortedFunc(maps.Keys(resources), routing.ResourceName.Compare) {
		var err error
		r := resources[id]
		switch id.Type {
		case envoy.TypeListener:
			err = g.addListeners(r.Body)
		case envoy.TypeRoute:
			err = g.addRoutes(r.Body)
		case envoy.TypeScope:
			err = g.addScope(r.Body)
		case envoy.TypeCluster:
			err = addCluster(clusters, r.Body)
		case envoy.TypeSecret:
			err = addSecret(certificates, authorities, id.Name, r.Body)
		}
		if err != nil {
			return nil, fmt.Errorf("describe gateway %s: read %s %s: %w", name, id.Type, id.Name, err)
		}
	}
	g.sort()
	g.secure(clusters, authorities)
	for i := range g.Listeners {
		for j, c := range g.Listeners[i].Certificates {
			if known, ok := certificates[c.Secret]; ok {
				g.Listeners[i].Certificates[j] = known
			}
		}
	}
	return g, nil
}

func (g *Gateway) sort() {
	g.dropObvious()
	slices.SortFunc(g.Listeners, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Name, b.Name))
	})
	place := map[string]int{}
	for i, l := range g.Listeners {
		place[l.Name] = i + 1
	}
	slices.SortFunc(g.Hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(place[a.Listener], place[b.Listener]), cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Hostname, b.Hostname))
	})
}

// dropObvious leaves out that a listener refuses what its server name does not cover
// and another one has: the layouts say so in different places, and it goes without saying.
func (g *Gateway) dropObvious() {
	names := map[string]string{}
	for _, l := range g.Listeners {
		names[l.Name] = cmp.Or(l.ServerName, "*")
	}
	g.Hosts = slices.DeleteFunc(g.Hosts, func(h Host) bool {
		suffix, wildcard := strings.CutPrefix(names[h.Listener], "*")
		return h.Misdirected && !(wildcard && strings.HasSuffix(h.Hostname, suffix))
	})
}

// addRoutes reads all hosts of a listener (plain layout).
func (g *Gateway) addRoutes(body []byte) error {
	config := &routev3.RouteConfiguration{}
	if err := proto.Unmarshal(body, config); err != nil {
		return err
	}
	return g.addHosts(config.GetName(), config)
}

// addScope reads one hostname of a listener, or all its wildcard hosts (scoped layout).
func (g *Gateway) addScope(body []byte) error {
	scope := &routev3.ScopedRouteConfiguration{}
	if err := proto.Unmarshal(body, scope); err != nil {
		return err
	}
	listener, _, _ := strings.Cut(scope.GetName(), "/")
	return g.addHosts(listener, scope.GetRouteConfiguration())
}

func (g *Gateway) addHosts(listener string, config *routev3.RouteConfiguration) error {
	for _, vh := range config.GetVirtualHosts() {
		h := Host{Listener: listener, Hostname: vh.GetName(), Rules: []Rule{}}
		for entry := range form.Entries(vh.GetRoutes()) {
			switch entry[0].GetName() {
			case form.RouteMisdirected:
				h.Misdirected = true
			case form.RouteNoMatch:
			default:
				rule, err := rule(entry)
				if err != nil {
					return fmt.Errorf("host %s: %w", h.Hostname, err)
				}
				h.Rules = append(h.Rules, rule)
			}
		}
		g.Hosts = append(g.Hosts, h)
	}
	return nil
}

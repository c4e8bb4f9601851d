package evaluate

import (
	"fmt"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// Config is what the Envoys of a Gateway were told, as requests meet it.
type Config struct {
	chains []chain
	// hosts are the virtual hosts by the name of their route configuration: that of a
	// chain, or in the scoped layout of a chain or a port.
	hosts map[string]map[string]*routev3.VirtualHost
}

// chain is an Envoy filter chain for TCP.
type chain struct {
	name       string
	port       uint32
	tls        bool // ends here, or its server name is read
	serverName string
	http       bool // and not a stream that is forwarded as it is
	// manager is how HTTP is spoken; nil for a stream.
	manager *hcmv3.HttpConnectionManager
}

// Read reads what was published for a Gateway. The error names the resource that
// cannot be read.
func Read(resources map[routing.ResourceName]routing.Resource) (*Config, error) {
	c := &Config{hosts: map[string]map[string]*routev3.VirtualHost{}}
	for id, r := range resources { //determinism: what is read apart does not meet
		if err := c.read(id, r.Body); err != nil {
			return nil, fmt.Errorf("read %s %s: %w", id.Type, id.Name, err)
		}
	}
	return c, nil
}

// Concerns tells whether a resource can have to do with where a request goes. [Read]
// of those that do gives the same answer as of all.
func Concerns(id routing.ResourceName, r *Request) bool {
	switch id.Type {
	case form.TypeListener, form.TypeRoute:
		return true
	case form.TypeScope:
		_, host, _ := strings.Cut(id.Name, "/")
		return host == "*" || host == hostname(r.Authority)
	}
	return false
}

func (c *Config) read(id routing.ResourceName, body []byte) error {
	switch id.Type {
	case form.TypeListener:
		listener := &listenerv3.Listener{}
		if err := proto.Unmarshal(body, listener); err != nil {
			return err
		}
		return c.addListener(listener)
	case form.TypeRoute:
		routes := &routev3.RouteConfiguration{}
		if err := proto.Unmarshal(body, routes); err != nil {
			return err
		}
		c.addHosts(routes.GetName(), routes)
	case form.TypeScope:
		scope := &routev3.ScopedRouteConfiguration{}
		if err := proto.Unmarshal(body, scope); err != nil {
			return err
		}
		chain, _, _ := strings.Cut(scope.GetName(), "/")
		c.addHosts(chain, scope.GetRouteConfiguration())
	}
	return nil
}

func (c *Config) addHosts(name string, config *routev3.RouteConfiguration) {
	if c.hosts[name] == nil {
		c.hosts[name] = map[string]*routev3.VirtualHost{}
	}
	for _, h := range config.GetVirtualHosts() {
		for _, domain := range h.GetDomains() {
			c.hosts[name][domain] = h
		}
	}
}

func (c *Config) addListener(l *listenerv3.Listener) error {
	for _, f := range l.GetFilterChains() {
		names := f.GetFilterChainMatch().GetServerNames()
		if len(names) == 0 {
			names = []string{""}
		}
		one := chain{name: f.GetName(), port: l.GetAddress().GetSocketAddress().GetPortValue(), tls: len(l.GetListenerFilters()) > 0}
		for _, filter := range f.GetFilters() {
			config := filter.GetTypedConfig()
			manager := &hcmv3.HttpConnectionManager{}
			if !config.MessageIs(manager) {
				continue
			}
			if err := config.UnmarshalTo(manager); err != nil {
				return err
			}
			one.http, one.manager, one.tls = true, manager, f.GetTransportSocket() != nil
		}
		for _, name := range names {
			one.serverName = name
			c.chains = append(c.chains, one)
		}
	}
	return nil
}

// chain is the one that a connection meets: on TLS that whose server name covers that
// of the client most narrowly (FilterChainMatch.server_names).
func (c *Config) chain(r *Request) (found *chain, listens bool) {
	for i := range c.chains {
		one := &c.chains[i]
		if one.port != r.Port {
			continue
		}
		listens = true
		name := ""
		if one.tls {
			name = one.serverName
		}
		if name != "" && (!r.TLS || !covers(name, strings.ToLower(r.ServerName))) {
			continue
		}
		if found == nil || narrower(one.serverName, found.serverName) {
			found = one
		}
	}
	return found, listens
}

// covers tells whether a hostname, which may begin with "*", is one for name.
func covers(pattern, name string) bool {
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	return pattern == name || wildcard && len(name) > len(suffix) && strings.HasSuffix(name, suffix)
}

// narrower tells whether a, of two patterns that cover the same name, goes before b.
func narrower(a, b string) bool {
	wildA, wildB := a == "" || strings.HasPrefix(a, "*"), b == "" || strings.HasPrefix(b, "*")
	if wildA != wildB {
		return wildB
	}
	return len(a) > len(b)
}

// candidates are the virtual hosts of a chain that cover a hostname, the one that
// Envoy takes first. On a chain with TLS, what the other listeners of the port answer
// for counts too, unless the chain has a host of that name itself: the layouts keep
// that in different places.
func (c *Config) candidates(one *chain, hostname string) []*routev3.VirtualHost {
	var out []*routev3.VirtualHost
	own := c.hosts[one.name]
	for _, pattern := range Covering(hostname) {
		h := own[pattern]
		if h == nil && one.tls {
			h = c.hosts[fmt.Sprintf("https-%d", one.port)][pattern]
		}
		if h != nil {
			out = append(out, h)
		}
	}
	return out
}

// Covering are all patterns that cover a hostname, the narrowest first: of the hosts of a
// listener Envoy takes the first that there is.
func Covering(hostname string) []string {
	out := []string{hostname}
	for i := 1; i < len(hostname); i++ { // a "*" stands for one character at least, and for any
		out = append(out, "*"+hostname[i:])
	}
	return append(out, "*")
}

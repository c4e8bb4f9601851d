package pinned

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// Routing is what was published for a Gateway. It must not be changed.
type Routing struct {
	// Certificates are the Secrets with a key that are presented, and by whom: the ones of
	// today are served, and without one of them nothing can be.
	Certificates []Reference
	// Backends are the Services in other namespaces that routes lead to.
	Backends []Reference
	// Authorities are the secrets with certificates to trust: those of today are served
	// where there are any.
	Authorities []string
	// Infrastructure is as published; nil where no Envoys were provisioned.
	Infrastructure *routing.Infrastructure

	namespace string // of the Gateway
	routes    map[string]bool
	resources []routing.Resource
	trusted   map[string]routing.Resource
	// across are the resources that lead to other namespaces.
	across map[routing.ResourceName]bool
}

// Reference is an object that leads to another one.
type Reference struct {
	// Kind is Gateway, ListenerSet, or that of a route.
	Kind, Namespace string
	To              events.Key
}

func (r Reference) compare(o Reference) int {
	return cmp.Or(cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Namespace, o.Namespace), r.To.Compare(o.To))
}

// Read finds out what the resources of a Gateway need.
func Read(gateway string, g *routing.GatewayState) (*Routing, error) {
	namespace, _, _ := strings.Cut(gateway, "/")
	out := &Routing{namespace: namespace, Infrastructure: g.Infrastructure, routes: map[string]bool{}, trusted: map[string]routing.Resource{}, across: map[routing.ResourceName]bool{}}
	for _, name := range slices.SortedFunc(maps.Keys(g.Resources), routing.ResourceName.Compare) {
		r := g.Resources[name]
		if name.Type == form.TypeSecret {
			if isAuthority(name.Name) {
				out.trusted[name.Name] = r
			}
			continue
		}
		v := &visit{gateway: namespace, secret: out.addSecret, route: out.addRoute, deny: func(ref Reference) bool {
			out.Backends = append(out.Backends, ref)
			out.across[name] = true
			return false
		}}
		if _, err := v.resource(r); err != nil {
			return nil, fmt.Errorf("read %s %s: %w", name.Type, name.Name, err)
		}
		out.resources = append(out.resources, r)
	}
	sortCompact(&out.Certificates, Reference.compare)
	sortCompact(&out.Backends, Reference.compare)
	sortCompact(&out.Authorities, cmp.Compare[string])
	return out, nil
}

func sortCompact[T comparable](list *[]T, compare func(a, b T) int) {
	slices.SortFunc(*list, compare)
	*list = slices.Compact(*list)
}

// isAuthority tells the names of secrets apart: a certificate is namespace/name, and
// what is trusted has more parts.
func isAuthority(secret string) bool { return strings.Count(secret, "/") > 1 }

func (p *Routing) addSecret(kind, namespace, name string) {
	if isAuthority(name) {
		p.Authorities = append(p.Authorities, name)
		return
	}
	to := events.Key{Resource: events.Secrets}
	to.Namespace, to.Name, _ = strings.Cut(name, "/")
	p.Certificates = append(p.Certificates, Reference{Kind: kind, Namespace: namespace, To: to})
}

// addRoute notes the route of an entry, namespace/name/rule/match with the kind ahead.
func (p *Routing) addRoute(entry string) {
	if parts := strings.Split(entry, "/"); len(parts) >= 4 {
		p.routes[strings.Join(parts[:len(parts)-2], "/")] = true
	}
}

// Lacks tells whether an HTTPRoute or a GRPCRoute has no rule in it. Of other routes
// that is not known, and they are taken to have one.
func (p *Routing) Lacks(key events.Key) bool {
	switch key.Resource {
	case events.HTTPRoutes:
		return !p.routes[key.Namespace+"/"+key.Name]
	case events.GRPCRoutes:
		return !p.routes["grpc/"+key.Namespace+"/"+key.Name]
	}
	return false
}

// Secrets are the names of all secrets that are needed.
func (p *Routing) Secrets() []string {
	names := slices.Clone(p.Authorities)
	for _, ref := range p.Certificates {
		names = append(names, ref.To.Namespace+"/"+ref.To.Name)
	}
	sortCompact(&names, cmp.Compare[string])
	return names
}

// Authority is what was trusted under a name; false where nothing was.
func (p *Routing) Authority(name string) (routing.Resource, bool) {
	r, ok := p.trusted[name]
	return r, ok
}

// Resources are all but the secrets, sorted, without what is denied.
func (p *Routing) Resources(denied []Reference) []routing.Resource {
	out := slices.Clone(p.resources)
	if len(denied) == 0 {
		return out
	}
	v := &visit{gateway: p.namespace, secret: func(string, string, string) {}, deny: func(ref Reference) bool { return slices.Contains(denied, ref) }}
	for i := range out {
		if !p.across[out[i].ResourceName] {
			continue
		}
		masked, err := v.resource(out[i])
		if err != nil {
			panic(fmt.Sprintf("pinned: %s %s was read and cannot be read again: %v", out[i].Type, out[i].Name, err))
		}
		out[i] = masked
	}
	return out
}

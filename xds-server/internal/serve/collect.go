package serve

import (
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// order is that of the types in one push. Listeners and routes that are gone are
// removed together with what comes in their place, since Envoy compares
// addresses and scope keys within a response after the removals.
func order() []string {
	return []string{store.ClusterType, store.EndpointType, store.SecretType, store.ExtensionType, store.ListenerType, store.ScopeType, store.RouteType}
}

// removedLast are the types that others refer to, in the order of their removal.
func removedLast() []string { return []string{store.SecretType, store.ClusterType} }

// collect is everything that the client has not been sent and should have; then
// the client is up to the reading. While it is waiting, it is what it asked for.
func (c *client) collect(now *store.Reading, p *push) ([]*response, error) {
	var out []*response
	late := map[string]*response{}
	for _, typ := range c.types() {
		r, err := c.pending(now, typ)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		if slices.Contains(removedLast(), typ) && len(r.removed) > 0 {
			late[typ] = &response{typ: typ, removed: r.removed}
			r.removed = nil
			if len(r.resources) == 0 {
				continue
			}
		}
		for _, part := range split(r) {
			out = append(out, c.send(p, part))
		}
		if typ == store.ClusterType {
			out = append(out, c.sendNeeded(now, p, r.resources)...)
		}
	}
	for _, typ := range removedLast() {
		if r := late[typ]; r != nil {
			out = append(out, c.send(p, r))
		}
	}
	if !c.waiting {
		c.revision = now.Revision
	}
	return out, nil
}

// types is the subscribed ones, in order; those that are not served come last.
func (c *client) types() []string {
	known := order()
	types := slices.DeleteFunc(order(), func(typ string) bool { return c.subscriptions[typ] == nil })
	for _, typ := range slices.Sorted(maps.Keys(c.subscriptions)) {
		if !slices.Contains(known, typ) {
			types = append(types, typ)
		}
	}
	return types
}

// pending is what is to be sent of one type; nil when that is nothing.
func (c *client) pending(now *store.Reading, typ string) (*response, error) {
	sub := c.subscriptions[typ]
	names, err := c.candidates(now, typ, sub)
	if err != nil {
		return nil, err
	}
	r := &response{typ: typ}
	for _, name := range names {
		resource := now.Get(typ, name)
		version, has := sub.has[name]
		switch {
		case resource == nil && typ == store.ExtensionType && !sub.want[name]:
			// Connections of the listener that had it go on with it; then Envoy gives it up.
		case resource == nil:
			r.removed = append(r.removed, name)
		case has && version == resource.Version():
		case !sub.want[name] && c.refused[routing.ResourceName{Type: typ, Name: name}].Digest == resource.Digest:
		default:
			r.resources = append(r.resources, resource)
		}
	}
	answer := sub.due || len(sub.want) > 0
	sub.due, sub.all, sub.has = false, false, nil
	clear(sub.want)
	if len(r.resources) == 0 && len(r.removed) == 0 && !answer {
		return nil, nil
	}
	return r, nil
}

// candidates is the names to look at, sorted: what was asked for, what changed,
// and what the client said it has (of which it must be told if it is gone).
func (c *client) candidates(now *store.Reading, typ string, sub *subscription) ([]string, error) {
	var names []string
	if sub.all {
		names = now.Names(typ)
	}
	if !sub.due && !c.waiting {
		changed, known := now.Since(typ, c.revision)
		if !known {
			// Reconnecting, Envoy says what it has, and is sent the difference.
			return nil, status.Error(codes.Aborted, "this stream has fallen too far behind: connect again")
		}
		for _, name := range changed {
			if sub.interested(now, typ, name) {
				names = append(names, name)
			}
		}
	}
	names = slices.AppendSeq(names, maps.Keys(sub.want))
	for name := range sub.has {
		if sub.interested(now, typ, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// sendNeeded sends what clusters need right behind them: their endpoints, and then
// their secrets, for which Envoy begins to wait once it has the endpoints. It asks
// for those of a new cluster, but traffic would arrive first; and for those of a
// changed cluster, which has to warm again, it does not ask.
func (c *client) sendNeeded(now *store.Reading, p *push, clusters []*store.Resource) []*response {
	var assignments, secrets []*store.Resource
	for _, cluster := range clusters {
		if name := cluster.Assignment; name != "" {
			assignments = append(assignments, now.Get(store.EndpointType, name))
		}
		for _, name := range cluster.Secrets {
			if secret := now.Get(store.SecretType, name); secret != nil && !c.follows(store.SecretType, name) {
				secrets = append(secrets, secret)
			}
		}
	}
	return append(c.sendUnasked(p, store.EndpointType, assignments), c.sendUnasked(p, store.SecretType, secrets)...)
}

// follows tells whether a client asked for a resource before, so that it is sent
// what changes of it, and has the rest.
func (c *client) follows(typ, name string) bool {
	sub := c.subscriptions[typ]
	return sub != nil && sub.names[name]
}

// sendUnasked sends resources of a type, each once.
func (c *client) sendUnasked(p *push, typ string, resources []*store.Resource) []*response {
	sub := c.subscriptions[typ]
	r := &response{typ: typ}
	sent := map[string]bool{}
	for _, resource := range resources {
		if sent[resource.Name] {
			continue
		}
		sent[resource.Name] = true
		r.resources = append(r.resources, resource)
		if sub != nil {
			sub.isSent(resource)
		}
	}
	if len(r.resources) == 0 {
		return nil
	}
	var out []*response
	for _, part := range split(r) {
		out = append(out, c.send(p, part))
	}
	return out
}

// isSent keeps a resource from being sent a second time in the same step.
func (s *subscription) isSent(r *store.Resource) {
	if s.has == nil {
		s.has = map[string]string{}
	}
	s.has[r.Name] = r.Version()
	delete(s.want, r.Name)
}

// split cuts a response into parts of at most maxPayload bytes of resources.
func split(r *response) []*response {
	var parts []*response
	part, size := &response{typ: r.typ, removed: r.removed}, 0
	for _, resource := range r.resources {
		if size > 0 && size+len(resource.Body) > maxPayload {
			parts = append(parts, part)
			part, size = &response{typ: r.typ}, 0
		}
		part.resources = append(part.resources, resource)
		size += len(resource.Body)
	}
	return append(parts, part)
}

package route

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// attachment is what a route contributes to the Gateways it attaches to.
type attachment struct {
	order   order
	rules   []*Rule
	matches [][]Match // per rule
	// members are the listeners that the route attached to, with the route's own
	// hostname patterns there; hosts the virtual hosts that this makes necessary.
	members  []memberID
	hosts    []HostID
	clusters []ClusterID
	// ends is where in hosts those of each parent of the verdict end.
	ends []int
	// ancestors are the Gateways through which Services that policies are for are reached.
	ancestors []ancestorID
	// tenants are whose requests it is for, by Gateway; nil is those of all.
	tenants map[string]*Tenant
	// bound are the ways to listeners, while the attachment is computed.
	bound   []binding
	verdict *routing.Verdict // nil where no parent is ours
}

// memberID names the routes that attached to a listener with a hostname pattern.
type memberID struct{ gateway, listener, pattern string }

func (m memberID) node() node { return node{membersNode, m.gateway, m.listener, m.pattern} }

func (t *Tables) computeAttachment(r *reader, key events.Key) *attachment {
	spec := routeOf(r, key)
	if spec == nil {
		return nil
	}
	a := &attachment{order: order{created: spec.object.Created, name: key.Namespace + "/" + key.Name}}
	var parents []routing.ParentVerdict
	var resolvedRules *ruleSet
	for _, ref := range spec.parents {
		to := parentNamed(r, key, ref)
		if to == nil {
			continue
		}
		if resolvedRules == nil {
			resolvedRules = spec.resolve(r)
		}
		others := a.hosts
		a.hosts = nil
		p := a.attach(r, key, spec, ref, to)
		a.hosts = append(others, a.hosts...)
		a.ends = append(a.ends, len(a.hosts))
		if p.ok() {
			p = resolvedRules.invalid()
		}
		conditions := resolvedRules.conditions(p)
		if pin := r.pin(to.gateway); p.ok() && pin != nil {
			conditions = append(conditions, pin.tellRoute(spec.object, r.state.Version.Incarnation)...)
		}
		parents = append(parents, routing.ParentVerdict{Ref: parentRef(ref), Gateway: to.gateway, Conditions: conditions})
	}
	if resolvedRules == nil {
		return a
	}
	a.verdict = newVerdict(spec.object)
	a.verdict.Parents = parents
	if !resolvedRules.invalid().ok() {
		a.members, a.hosts, a.ends, a.bound = nil, nil, nil, nil
	}
	a.rules, a.matches = resolvedRules.rules, resolvedRules.matches
	a.clusters, a.ancestors = a.usedClusters(), a.ancestorsOf(resolvedRules.services)
	a.bound = nil
	return a
}

// hostsOf are the virtual hosts that a parent of the verdict makes necessary.
func (a *attachment) hostsOf(parent int) []HostID {
	if a.ends == nil {
		return nil
	}
	if parent == 0 {
		return a.hosts[:a.ends[0]]
	}
	return a.hosts[a.ends[parent-1]:a.ends[parent]]
}

// parentNamed is the Gateway or ListenerSet that a parentRef leads to, if it is one of ours.
func parentNamed(r *reader, route events.Key, ref gatewayv1.ParentReference) *parent {
	if or(ref.Group, gatewayv1.GroupName) != gatewayv1.GroupName {
		return nil
	}
	for resource, kind := range parentKinds { //determinism: at most one is of the kind
		if or(ref.Kind, "Gateway") == kind {
			return r.parent(events.Key{Resource: resource, Namespace: or(ref.Namespace, route.Namespace), Name: string(ref.Name)})
		}
	}
	return nil
}

// attach binds the route to the listeners that a parentRef selects, and says why
// to none (RouteConditionAccepted). Those of a Gateway and of its ListenerSets are
// selected by different parentRefs.
func (a *attachment) attach(r *reader, key events.Key, spec *routeSpec, ref gatewayv1.ParentReference, to *parent) problem {
	// Ahead of all else: what follows tells about the Gateway.
	if !to.tenancy.admits(r, gatewayKey(to.gateway).Namespace, key.Namespace) {
		return otherTenant(key.Namespace)
	}
	tenant, p := to.tenancy.requests(r, key.Resource, key.Namespace)
	if !p.ok() {
		return p
	}
	if tenant != nil {
		if a.tenants == nil {
			a.tenants = map[string]*Tenant{}
		}
		a.tenants[to.gateway] = tenant
	}
	if !to.refuses.ok() {
		return to.refuses
	}
	var selected, allowed, bound int
	for _, l := range to.listeners {
		if ref.SectionName != nil && *ref.SectionName != l.name || ref.Port != nil && *ref.Port != l.port {
			continue
		}
		selected++
		if !l.allows(r, to.key.Namespace, spec.kind, key.Namespace) {
			continue
		}
		allowed++
		if a.bind(r, to.gateway, l, spec.hostnames) {
			bound++
		}
	}
	switch {
	case selected == 0:
		return problem{string(gatewayv1.RouteReasonNoMatchingParent), fmt.Sprintf("The %s has no listener %s.", to.name(), wanted(ref))}
	case allowed == 0:
		return problem{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf("No listener of the %s allows %ss from the namespace %s (allowedRoutes).", to.name(), spec.kind, key.Namespace)}
	case bound == 0:
		return problem{string(gatewayv1.RouteReasonNoMatchingListenerHostname), fmt.Sprintf("No listener of the %s has a hostname that intersects with those of the route.", to.name())}
	}
	return problem{}
}

func wanted(ref gatewayv1.ParentReference) string {
	var parts []string
	if ref.SectionName != nil {
		parts = append(parts, fmt.Sprintf("named %s", *ref.SectionName))
	}
	if ref.Port != nil {
		parts = append(parts, fmt.Sprintf("on port %d", *ref.Port))
	}
	return strings.Join(parts, " ")
}

// bind adds the hostnames of the route that intersect with those of the listener
// and tells whether there is one. Hostnames that another listener owns are bound
// but never reached.
func (a *attachment) bind(r *reader, gateway string, l *listener, hostnames []gatewayv1.Hostname) bool {
	patterns := []string{anyHost}
	if len(hostnames) > 0 {
		patterns = nil
		for _, h := range hostnames {
			patterns = append(patterns, orAny(string(h)))
		}
	}
	bound := false
	for _, pattern := range patterns {
		hostname, ok := intersect(pattern, l.hostname)
		if !ok {
			continue
		}
		bound = true
		served := l.served && r.owner(gateway, spot{l.port, transportOf(l.protocol), hostname}, l.hostname) == nil
		a.bound = appendNew(a.bound, binding{gateway, l.passthrough, served})
		a.members = appendNew(a.members, memberID{gateway, l.id, pattern})
		if served {
			a.hosts = appendNew(a.hosts, HostID{gateway, l.chain(), hostname})
		}
	}
	return bound
}

func appendNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// binding is a way in which a route is bound to listeners of a Gateway.
type binding struct {
	gateway     string
	passthrough bool // TLS does not end there
	served      bool
}

// usedClusters are the clusters that the route needs on the Gateways where it
// has a virtual host.
func (a *attachment) usedClusters() []ClusterID {
	var used []ClusterID
	for _, at := range a.bound {
		add := func(cluster string) {
			if at.served && cluster != "" {
				used = appendNew(used, ClusterID{at.gateway, cluster})
			}
		}
		for _, rule := range a.rules {
			for _, m := range rule.Filters.Mirrors {
				add(m.Cluster)
			}
			for _, b := range rule.Backends {
				add(b.clusterFor(at.passthrough))
				for _, m := range b.Filters.Mirrors {
					add(m.Cluster)
				}
			}
		}
	}
	return used
}

// ancestorsOf are the Gateways through which services are reached where policies
// for them count: not where TLS passes through.
func (a *attachment) ancestorsOf(services []events.Key) []ancestorID {
	var out []ancestorID
	for _, at := range a.bound {
		for _, service := range services {
			if !at.passthrough {
				out = appendNew(out, ancestorID{service, at.gateway})
			}
		}
	}
	return out
}

// attachedTo are the listeners that the route counts for (ListenerStatus.attachedRoutes).
func (a *attachment) attachedTo() []listenerID {
	if a == nil {
		return nil
	}
	var out []listenerID
	for _, m := range a.members {
		out = appendNew(out, listenerID{m.gateway, m.listener})
	}
	return out
}

func parentRef(ref gatewayv1.ParentReference) routing.ParentRef {
	return routing.ParentRef{
		Group: (*string)(ref.Group), Kind: (*string)(ref.Kind), Namespace: (*string)(ref.Namespace),
		Name: string(ref.Name), SectionName: (*string)(ref.SectionName), Port: ref.Port,
	}
}

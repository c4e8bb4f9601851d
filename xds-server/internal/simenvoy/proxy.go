package simenvoy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

type request = discoveryv3.DeltaDiscoveryRequest

// Resource is one resource as Envoy holds it.
type Resource struct {
	Version string
	Body    []byte
	refs    references
}

// Response is one response that arrived.
type Response struct {
	Type     string
	Sent     []string // names, in order
	Removed  []string
	Refused  bool
	Ignored  bool // of a type that was not asked for
	Repeated []string
}

// proxy is the behaviour of one Envoy, without a connection.
type proxy struct {
	node   *corev3.Node
	refuse func(typ, name string, body []byte) bool

	have       map[string]map[string]Resource
	subscribed map[string]map[string]bool // by type; "*" for all
	// warming are the clusters that wait for endpoints, since they last changed, and
	// then for secrets.
	warming map[string]references
	active  map[string]bool // clusters that were warm once; a changed one serves as it was while it warms
	started bool            // has asked for listeners

	log        []Response
	violations []string
}

func newProxy(node, gateway string) *proxy {
	return &proxy{
		node:       &corev3.Node{Id: node, Cluster: gateway},
		refuse:     func(string, string, []byte) bool { return false },
		have:       map[string]map[string]Resource{},
		subscribed: map[string]map[string]bool{},
		warming:    map[string]references{},
		active:     map[string]bool{},
	}
}

// connect is the first requests of a stream: of each type what it is subscribed
// to and what it has.
func (p *proxy) connect() []*request {
	if len(p.subscribed) == 0 {
		p.subscribed[store.ClusterType] = map[string]bool{"*": true}
	}
	var out []*request
	for _, typ := range []string{store.ClusterType, store.EndpointType, store.ListenerType, store.SecretType, store.ScopeType, store.RouteType} {
		names, ok := p.subscribed[typ]
		if !ok {
			continue
		}
		r := &request{TypeUrl: typ, InitialResourceVersions: map[string]string{}}
		for name, resource := range p.have[typ] {
			r.InitialResourceVersions[name] = resource.Version
		}
		if !names["*"] || len(names) > 1 {
			r.ResourceNamesSubscribe = slices.Sorted(maps.Keys(names))
		}
		out = append(out, r)
	}
	out[0].Node = p.node
	return out
}

// handle takes a response and returns the answer to it and the new requests.
func (p *proxy) handle(r *discoveryv3.DeltaDiscoveryResponse) []*request {
	entry := Response{Type: r.GetTypeUrl(), Removed: r.GetRemovedResources()}
	for _, resource := range r.GetResources() {
		entry.Sent = append(entry.Sent, resource.GetName())
		if p.have[r.GetTypeUrl()][resource.GetName()].Version == resource.GetVersion() {
			entry.Repeated = append(entry.Repeated, resource.GetName())
		}
	}
	if p.subscribed[r.GetTypeUrl()] == nil {
		entry.Ignored = true
		p.log = append(p.log, entry)
		return nil
	}
	answer := &request{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()}
	if reasons := p.apply(r); len(reasons) > 0 {
		entry.Refused = true
		answer.ErrorDetail = &rpcstatus.Status{Code: 13, Message: strings.Join(reasons, "; ")}
	}
	p.log = append(p.log, entry)
	return append([]*request{answer}, p.resubscribe()...)
}

// apply takes a response over whole, or says why not.
func (p *proxy) apply(r *discoveryv3.DeltaDiscoveryResponse) (reasons []string) {
	typ := r.GetTypeUrl()
	arrived := map[string]Resource{}
	for _, resource := range r.GetResources() {
		name, body := resource.GetName(), resource.GetResource().GetValue()
		refs, err := referencesOf(typ, body)
		if err != nil || p.refuse(typ, name, body) {
			reasons = append(reasons, fmt.Sprintf("%s is refused", name))
		}
		if _, twice := arrived[name]; twice {
			reasons = append(reasons, fmt.Sprintf("duplicate %s found", name))
		}
		arrived[name] = Resource{Version: resource.GetVersion(), Body: body, refs: refs}
	}
	if len(reasons) > 0 {
		for name := range arrived {
			p.warm(typ, name) // a cluster starts without endpoints rather than never
		}
		return reasons
	}
	if p.have[typ] == nil {
		p.have[typ] = map[string]Resource{}
	}
	for _, name := range r.GetRemovedResources() {
		p.removed(typ, name)
	}
	for name, resource := range arrived {
		p.arrived(typ, name, resource)
	}
	return nil
}

func (p *proxy) removed(typ, name string) {
	if _, ok := p.have[typ][name]; !ok {
		return
	}
	delete(p.have[typ], name)
	if typ == store.ClusterType {
		delete(p.warming, name)
		delete(p.active, name)
		for _, routes := range []string{store.ScopeType, store.RouteType} {
			for route, r := range p.have[routes] {
				if slices.Contains(r.refs[store.ClusterType], name) {
					p.violate("cluster %s was removed while %s sends requests to it", name, route)
				}
			}
		}
	}
}

func (p *proxy) arrived(typ, name string, r Resource) {
	old, known := p.have[typ][name]
	switch typ {
	case store.ClusterType:
		if known && old.Version == r.Version {
			break
		}
		waits := references{store.EndpointType: slices.Clone(r.refs[store.EndpointType])}
		for _, secret := range r.refs[store.SecretType] {
			if _, ok := p.have[store.SecretType][secret]; !ok {
				waits.add(store.SecretType, secret)
			}
		}
		p.warming[name] = waits
		p.have[typ][name] = r
		p.settle(name)
	case store.EndpointType, store.SecretType:
		if !p.wanted()[typ][name] {
			return // nobody watches it: Envoy drops it
		}
		p.warm(typ, name)
	case store.ScopeType, store.RouteType:
		for _, cluster := range r.refs[store.ClusterType] {
			if !p.active[cluster] {
				p.violate("%s sends requests to cluster %s, which is not there yet", name, cluster)
			}
		}
	}
	p.have[typ][name] = r
}

// warm ends the wait of clusters for a resource.
func (p *proxy) warm(typ, name string) {
	for cluster, waits := range p.warming {
		waits[typ] = slices.DeleteFunc(waits[typ], func(n string) bool { return n == name })
		p.settle(cluster)
	}
}

// settle makes a cluster active that waits for nothing any more.
func (p *proxy) settle(cluster string) {
	if waits := p.warming[cluster]; len(waits[store.EndpointType])+len(waits[store.SecretType]) == 0 {
		delete(p.warming, cluster)
		p.active[cluster] = true
	}
}

func (p *proxy) violate(format string, args ...any) {
	p.violations = append(p.violations, fmt.Sprintf(format, args...))
}

// wanted is the names that what is held refers to.
func (p *proxy) wanted() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, typ := range []string{store.ClusterType, store.ListenerType, store.ScopeType} {
		for name, r := range p.have[typ] {
			for to, names := range r.refs {
				if typ == store.ClusterType && to == store.SecretType && !p.active[name] && len(p.warming[name][store.EndpointType]) > 0 {
					continue // Envoy asks for them once it has the endpoints
				}
				if out[to] == nil {
					out[to] = map[string]bool{}
				}
				for _, name := range names {
					out[to][name] = true
				}
			}
		}
	}
	return out
}

// resubscribe asks for what is named now and was not, and gives up what is no
// longer named. Listeners are asked for once, when the clusters are warm.
func (p *proxy) resubscribe() []*request {
	var out []*request
	wanted := p.wanted()
	for _, typ := range []string{store.EndpointType, store.SecretType, store.ScopeType, store.RouteType} {
		r := &request{TypeUrl: typ}
		for _, name := range slices.Sorted(maps.Keys(wanted[typ])) {
			if !p.subscribed[typ][name] {
				r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(p.subscribed[typ])) {
			if !wanted[typ][name] {
				r.ResourceNamesUnsubscribe = append(r.ResourceNamesUnsubscribe, name)
				if name == "*" {
					clear(p.have[typ])
				}
				delete(p.have[typ], name)
			}
		}
		if len(r.ResourceNamesSubscribe)+len(r.ResourceNamesUnsubscribe) == 0 {
			continue
		}
		p.subscribed[typ] = map[string]bool{}
		maps.Copy(p.subscribed[typ], wanted[typ])
		out = append(out, r)
	}
	if _, clusters := p.have[store.ClusterType]; clusters && !p.started && len(p.warming) == 0 {
		p.started = true
		p.subscribed[store.ListenerType] = map[string]bool{"*": true}
		out = append(out, &request{TypeUrl: store.ListenerType})
	}
	return out
}

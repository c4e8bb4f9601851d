package route

import (
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Tables is the routing of all Gateways and the verdict on every object, as of
// the last Build. Only Build changes it; what it hands out must not be changed.
type Tables struct {
	graph graph
	// Recomputed counts the outputs that the last Build recomputed.
	Recomputed int

	classes     map[string]*class
	policies    map[events.Key]*policy
	targets     map[events.Key]*set[events.Key] // policies by Service
	ancestors   map[events.Key]map[string]int   // by Service with policies: routes that reach it, by Gateway
	gateways    map[string]*gateway
	pins        map[string]*pins                   // by Gateway
	pinned      map[events.Key]string              // Gateways by RoutingPin
	pinsOf      map[string]map[events.Key]struct{} // RoutingPins by Gateway
	contents    map[events.Key]content             // what they put in force
	sets        map[events.Key]*listenerSet
	setsOf      map[string]map[events.Key]struct{} // ListenerSets by Gateway
	merged      map[string]*merged                 // by Gateway
	parents     map[events.Key]*parent             // Gateways and ListenerSets
	attachments map[events.Key]*attachment
	grants      map[string]map[events.Key]struct{} // by namespace
	members     map[memberID]*set[events.Key]      // routes
	attached    map[listenerID]int                 // routes that count for a listener
	hosts       map[chainID]map[string]*Host
	clusters    map[ClusterID]*Cluster
	secrets     map[SecretID]*Secret
	verdicts    map[events.Key]*routing.Verdict
}

// New is the routing of an empty state, with room for about so many objects.
func New(objects int) *Tables {
	return &Tables{
		graph:       newGraph(objects),
		classes:     map[string]*class{},
		policies:    map[events.Key]*policy{},
		targets:     map[events.Key]*set[events.Key]{},
		ancestors:   map[events.Key]map[string]int{},
		gateways:    map[string]*gateway{},
		pins:        map[string]*pins{},
		pinned:      map[events.Key]string{},
		pinsOf:      map[string]map[events.Key]struct{}{},
		contents:    map[events.Key]content{},
		sets:        map[events.Key]*listenerSet{},
		setsOf:      map[string]map[events.Key]struct{}{},
		merged:      map[string]*merged{},
		parents:     map[events.Key]*parent{},
		attachments: make(map[events.Key]*attachment, objects/2),
		grants:      map[string]map[events.Key]struct{}{},
		members:     make(map[memberID]*set[events.Key], objects/2),
		attached:    map[listenerID]int{},
		hosts:       map[chainID]map[string]*Host{},
		clusters:    make(map[ClusterID]*Cluster, objects/2),
		secrets:     map[SecretID]*Secret{},
		verdicts:    make(map[events.Key]*routing.Verdict, objects/2),
	}
}

// Gateway is what the Envoys of a Gateway (namespace/name) listen on, or nil.
func (t *Tables) Gateway(name string) *Gateway {
	if m := t.merged[name]; m != nil {
		return m.public
	}
	return nil
}

// Infrastructure is what the Envoys of a Gateway (namespace/name) need around
// them, or nil.
func (t *Tables) Infrastructure(name string) *routing.Infrastructure {
	if m := t.merged[name]; m != nil {
		return m.infrastructure
	}
	return nil
}

// Host is one virtual host, or nil.
func (t *Tables) Host(id HostID) *Host { return t.hosts[chainOf(id)][id.Hostname] }

// Hosts are the virtual hosts of a chain, sorted by hostname.
func (t *Tables) Hosts(gateway, chain string) []*Host {
	return sortedHosts(t.hosts[chainID{gateway, chain}])
}

// Cluster is one cluster, or nil.
func (t *Tables) Cluster(id ClusterID) *Cluster { return t.clusters[id] }

// Secret is one certificate, or nil.
func (t *Tables) Secret(id SecretID) *Secret { return t.secrets[id] }

// Verdict is what the status of an object should say; ok is false for an object
// that is none of our business.
func (t *Tables) Verdict(key events.Key) (v routing.Verdict, ok bool) {
	if v := t.verdicts[key]; v != nil {
		return *v, true
	}
	return routing.Verdict{}, false
}

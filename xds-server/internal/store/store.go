package store

import (
	"maps"
	"slices"
	"sync"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
)

// Store is safe for concurrent use.
type Store struct {
	// taking is held by whoever adds versions; state is the version last added, the
	// measure of what may follow it, and nil when the next must be whole.
	// After an error it may be rebuilt from an older one.
	taking     sync.Mutex
	state      *routing.State
	rebuilding bool

	mu        sync.RWMutex
	revision  uint64
	version   events.Version
	gateways  map[string]*gateway
	endpoints *shelf
	synced    bool
	// changed is closed, and replaced, at each new revision.
	changed chan struct{}
}

// gateway is what the Envoys of one Gateway should run.
type gateway struct {
	shelves map[string]*shelf
	// asked counts the clusters that ask for each assignment.
	asked map[string]int
	// known is set from its first version until it is deleted; attached counts its clients.
	known    bool
	attached int
}

// New is a store that serves nothing yet.
func New() *Store {
	return &Store{gateways: map[string]*gateway{}, endpoints: newShelf(), changed: make(chan struct{})}
}

// Attach says that a client of the Gateway has come, Detach that it has gone.
// What a deleted Gateway had is remembered while it has clients.
func (s *Store) Attach(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway(name).attached++
}

// Detach undoes one [Store.Attach].
func (s *Store) Detach(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gateways[name]
	g.attached--
	s.forget(name, g)
}

// Version is the version of the routing that is served now.
func (s *Store) Version() events.Version {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version
}

// Changed is closed when a revision comes after the one that is now. Take it
// before reading, and no change is missed.
func (s *Store) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}

// SetEndpoints takes over assignments that changed.
func (s *Store) SetEndpoints(changed []endpoints.Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	s.revision++
	for _, a := range changed {
		s.setAssignment(a)
	}
	s.announce()
}

// ReplaceEndpoints takes over all assignments there are, from the first complete
// list on: what is not among them has no endpoints.
func (s *Store) ReplaceEndpoints(all []endpoints.Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	present := make(map[string]bool, len(all))
	for _, a := range all {
		present[a.Name] = true
		s.setAssignment(a)
	}
	for _, name := range slices.Collect(maps.Keys(s.endpoints.items)) {
		if !present[name] {
			s.endpoints.put(s.revision, name, nil)
		}
	}
	s.synced = true
	s.announce()
}

func (s *Store) setAssignment(a endpoints.Assignment) {
	if a.Gone {
		s.endpoints.put(s.revision, a.Name, nil)
		return
	}
	s.endpoints.put(s.revision, a.Name, newAssignment(a))
}

// gateway is the named one, made where it is missing; the caller holds mu.
func (s *Store) gateway(name string) *gateway {
	g := s.gateways[name]
	if g == nil {
		g = &gateway{shelves: map[string]*shelf{}, asked: map[string]int{}}
		s.gateways[name] = g
	}
	return g
}

// forget drops a Gateway that does not exist and has no clients.
func (s *Store) forget(name string, g *gateway) {
	if !g.known && g.attached == 0 {
		delete(s.gateways, name)
	}
}

// announce ends a change; the caller holds mu.
func (s *Store) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// put sets or removes (nil) one resource of a Gateway.
func (g *gateway) put(revision uint64, name routing.ResourceName, r *Resource) {
	shelf := g.shelves[name.Type]
	if shelf == nil {
		shelf = newShelf()
		g.shelves[name.Type] = shelf
	}
	old := shelf.put(revision, name.Name, r)
	if old != nil && old.Assignment != "" {
		g.asked[old.Assignment]--
		if g.asked[old.Assignment] == 0 {
			delete(g.asked, old.Assignment)
		}
	}
	if r != nil && r.Assignment != "" {
		g.asked[r.Assignment]++
	}
}

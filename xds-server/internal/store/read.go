package store

import (
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
)

// Reading is one moment of the store, as the Envoys of one Gateway should see
// it. It is valid inside [Store.Read] only; the resources that it hands out stay
// valid.
type Reading struct {
	// Revision orders the moments of one store; it means nothing in another.
	Revision uint64
	Version  events.Version
	// Ready says that the Gateway has a complete version and the endpoints were
	// complete once. Before, nothing must be served.
	Ready bool

	gateway   *gateway
	endpoints *shelf
}

// Read calls read with the present moment of a Gateway, while nothing changes.
func (s *Store) Read(gatewayName string, read func(*Reading)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.gateways[gatewayName]
	if g == nil {
		g = &gateway{}
	}
	read(&Reading{
		Revision:  s.revision,
		Version:   s.version,
		Ready:     s.synced && (g.known || g.hadVersion()),
		gateway:   g,
		endpoints: s.endpoints,
	})
}

// hadVersion tells of a Gateway that was deleted while it has clients: they are
// told to remove what they have.
func (g *gateway) hadVersion() bool { return len(g.shelves) > 0 }

// Get is the resource of that name, nil when there is none. An assignment always
// exists: that of a name without slices is empty.
func (r *Reading) Get(typ, name string) *Resource {
	shelf := r.shelf(typ)
	if shelf != nil {
		if found := shelf.items[name]; found != nil {
			return found
		}
	}
	if typ == EndpointType {
		return newAssignment(endpoints.Empty(name))
	}
	return nil
}

// Since is the names that changed after revision, sorted; false when that is no
// longer known. Names of assignments are those of all Gateways.
func (r *Reading) Since(typ string, revision uint64) (names []string, ok bool) {
	shelf := r.shelf(typ)
	if shelf == nil {
		return nil, true
	}
	return shelf.since(revision)
}

// Names is all names of a type, sorted; of assignments, those that clusters ask for.
func (r *Reading) Names(typ string) []string {
	if typ == EndpointType {
		return slices.Sorted(maps.Keys(r.gateway.asked))
	}
	shelf := r.shelf(typ)
	if shelf == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(shelf.items))
}

// Has tells whether the Gateway has any resource of the type; of assignments,
// whether a cluster asks for any.
func (r *Reading) Has(typ string) bool {
	if typ == EndpointType {
		return len(r.gateway.asked) > 0
	}
	shelf := r.shelf(typ)
	return shelf != nil && len(shelf.items) > 0
}

// Asked tells whether a cluster of the Gateway asks for the assignment.
func (r *Reading) Asked(assignment string) bool { return r.gateway.asked[assignment] > 0 }

func (r *Reading) shelf(typ string) *shelf {
	if typ == EndpointType {
		return r.endpoints
	}
	return r.gateway.shelves[typ]
}

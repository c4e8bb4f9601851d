package store

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Take adds versions in order, all of them as one revision. A whole version (one
// without a previous one) replaces what is held; versions that are already held
// are skipped, so a reader may begin anywhere at or before the version held.
//
// On error the versions before the bad one are served and the store goes on
// serving them; the next version must be a whole one. That may be an older one,
// with those up to the one served after it: nothing is served again before.
// The error wraps [routing.ErrOutOfStep] or [routing.ErrDigest].
func (s *Store) Take(versions ...*routing.Snapshot) error {
	s.taking.Lock()
	defer s.taking.Unlock()
	var ready []prepared
	var failed error
	for _, v := range versions {
		p, err := s.prepare(v)
		if err != nil {
			s.state, failed = nil, err
			break
		}
		if p == nil || s.behind() {
			continue
		}
		if s.rebuilding {
			s.rebuilding = false
			if p, err = s.everything(); err != nil {
				s.state, failed = nil, err
				break
			}
		}
		ready = append(ready, *p)
	}
	s.serve(ready)
	return failed
}

// Held is the version from which the next one must follow; zero when it must be whole.
func (s *Store) Held() events.Version {
	s.taking.Lock()
	defer s.taking.Unlock()
	if s.state == nil {
		return events.Version{}
	}
	return s.state.Version
}

// Whole is the version held as one snapshot; nil before the first, and after an
// error until the state is rebuilt.
func (s *Store) Whole() *routing.Snapshot {
	copied := s.copyState()
	if copied == nil {
		return nil
	}
	return copied.Full()
}

// copyState copies the maps under the lock, so that sorting and encoding
// can happen outside of it and delay no version.
func (s *Store) copyState() *routing.State {
	s.taking.Lock()
	defer s.taking.Unlock()
	if s.state == nil || s.rebuilding || s.state.Version.IsZero() {
		return nil
	}
	out := *s.state
	out.Verdicts = maps.Clone(out.Verdicts)
	out.Gateways = make(map[string]*routing.GatewayState, len(s.state.Gateways))
	for name, g := range s.state.Gateways {
		out.Gateways[name] = g.Clone()
	}
	return &out
}

// prepared is a version that has been checked, with its resources made.
type prepared struct {
	*routing.Snapshot
	whole     bool
	resources map[string][]*Resource // by Gateway, as in GatewayDelta.Changed
}

// prepare checks a version against the state and adds it there; nil when it is
// already held.
func (s *Store) prepare(v *routing.Snapshot) (*prepared, error) {
	if s.held(v) {
		return nil, nil
	}
	p, err := newPrepared(v)
	if err != nil {
		return nil, err
	}
	state := s.state
	if p.whole || state == nil {
		state = routing.NewState()
	}
	if err := state.Apply(v); err != nil {
		return nil, fmt.Errorf("take version: %w", err)
	}
	s.state = state
	return p, nil
}

func newPrepared(v *routing.Snapshot) (*prepared, error) {
	p := &prepared{Snapshot: v, whole: v.Previous.IsZero(), resources: map[string][]*Resource{}}
	for i := range v.Gateways {
		d := &v.Gateways[i]
		for j := range d.Changed {
			r, err := newResource(&d.Changed[j])
			if err != nil {
				return nil, fmt.Errorf("take version %s: gateway %s: %w", v.Version, d.Gateway, err)
			}
			p.resources[d.Gateway] = append(p.resources[d.Gateway], r)
		}
	}
	return p, nil
}

// everything is the state as one version.
func (s *Store) everything() (*prepared, error) { return newPrepared(s.state.Full()) }

// behind tells whether the state, rebuilt after an error, has not come to the
// version served yet: what is older is never served again.
func (s *Store) behind() bool {
	if s.state.Version.Incarnation != s.version.Incarnation || s.state.Version.Sequence >= s.version.Sequence {
		return false
	}
	s.rebuilding = true
	return true
}

// held tells whether v is in what is held already. A version that follows the
// one held is never skipped, even if it has the same number: another fold version
// may publish other routing for the same events.
func (s *Store) held(v *routing.Snapshot) bool {
	if s.state == nil || v.Version.Incarnation != s.state.Version.Incarnation || v.Previous == s.state.Version {
		return false
	}
	if v.Previous.IsZero() {
		return v.Version.Sequence < s.state.Version.Sequence
	}
	return v.Version.Sequence <= s.state.Version.Sequence
}

// serve makes prepared versions readable, in one step.
func (s *Store) serve(ready []prepared) {
	if len(ready) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	for _, p := range ready {
		if p.whole {
			s.removeAbsent(p.Snapshot)
		}
		for i := range p.Gateways {
			s.apply(&p.Gateways[i], p.resources[p.Gateways[i].Gateway])
		}
		s.version = p.Version
	}
	s.announce()
}

func (s *Store) apply(d *routing.GatewayDelta, changed []*Resource) {
	g := s.gateway(d.Gateway)
	g.known = true
	if d.Deleted {
		s.empty(d.Gateway, g)
		return
	}
	for i, r := range changed {
		g.put(s.revision, d.Changed[i].ResourceName, r)
	}
	for _, name := range d.Removed {
		g.put(s.revision, name, nil)
	}
}

// empty removes all that a deleted Gateway had.
func (s *Store) empty(name string, g *gateway) {
	g.known = false
	for typ, shelf := range g.shelves {
		for _, resource := range slices.Sorted(maps.Keys(shelf.items)) {
			g.put(s.revision, routing.ResourceName{Type: typ, Name: resource}, nil)
		}
	}
	s.forget(name, g)
}

// removeAbsent removes what a whole version does not hold.
func (s *Store) removeAbsent(whole *routing.Snapshot) {
	present := make(map[string]map[routing.ResourceName]bool, len(whole.Gateways))
	for _, d := range whole.Gateways {
		names := make(map[routing.ResourceName]bool, len(d.Changed))
		for _, r := range d.Changed {
			names[r.ResourceName] = true
		}
		present[d.Gateway] = names
	}
	for name, g := range s.gateways {
		if present[name] == nil {
			s.empty(name, g)
			continue
		}
		for typ, shelf := range g.shelves {
			for _, r := range slices.Sorted(maps.Keys(shelf.items)) {
				if n := (routing.ResourceName{Type: typ, Name: r}); !present[name][n] {
					g.put(s.revision, n, nil)
				}
			}
		}
	}
}

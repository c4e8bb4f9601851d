package fold

import (
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// Unlisted is a resource of which the last list was not made, or not believed. What
// was recorded of it before stays in force.
type Unlisted struct {
	Resource string             `json:"resource"`
	Problem  events.SyncProblem `json:"problem"`
}

// Unlisted are those of the present epoch, sorted by resource.
func (s *State) Unlisted() []Unlisted {
	var out []Unlisted
	for _, resource := range slices.Sorted(maps.Keys(s.unlisted)) {
		out = append(out, Unlisted{resource, s.unlisted[resource]})
	}
	return out
}

// setUnlisted notes what a completed list says, and returns the keys that changed.
func (s *State) setUnlisted(e events.Event, sync events.Sync) []events.Key {
	before, was := s.unlisted[sync.Resource]
	switch {
	case e.Type != events.TypeSyncDone:
		return nil
	case sync.Problem == nil:
		delete(s.unlisted, sync.Resource)
		if !was {
			return nil
		}
	case was && before == *sync.Problem:
		return nil
	default:
		s.unlisted[sync.Resource] = *sync.Problem
	}
	return []events.Key{events.SyncKey(sync.Resource)}
}

// forgetUnlisted is for a new epoch, in which everything is listed anew.
func (s *State) forgetUnlisted() []events.Key {
	var changed []events.Key
	for _, each := range s.Unlisted() {
		changed = append(changed, events.SyncKey(each.Resource))
	}
	clear(s.unlisted)
	return changed
}

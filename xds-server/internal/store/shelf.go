package store

import (
	"slices"
	"sort"
)

// shelf is the resources of one type, and the order in which they changed.
type shelf struct {
	items map[string]*Resource
	// changes are in the order of their revisions; a name may occur often. A name
	// that is no longer among items was removed.
	changes []change
	// floor is the revision up to which changes are forgotten.
	floor uint64
}

type change struct {
	revision uint64
	name     string
}

// keptChanges is how many changes a shelf remembers at least; it remembers twice
// as many as it has items if that is more. A client falls behind that far only
// when its connection is stuck.
const keptChanges = 4096

func newShelf() *shelf { return &shelf{items: map[string]*Resource{}} }

// put sets name, or removes it when r is nil. It returns what was there before.
// Where the bytes stay the same no client has to hear of it.
func (s *shelf) put(revision uint64, name string, r *Resource) (old *Resource) {
	old = s.items[name]
	switch {
	case r == nil && old == nil:
		return nil
	case r == nil:
		delete(s.items, name)
	default:
		s.items[name] = r
		switch {
		case old == nil:
		case old.Digest == r.Digest:
			r.LastGood, r.LastSealed = old.LastGood, old.LastSealed
			return old
		default:
			r.LastGood, r.LastSealed = old.Body, old.Sealed
		}
	}
	s.changes = append(s.changes, change{revision, name})
	s.trim(revision)
	return old
}

// since is the names that changed after revision, sorted and each once; false
// when that is no longer known.
func (s *shelf) since(revision uint64) ([]string, bool) {
	if revision < s.floor {
		return nil, false
	}
	first := s.after(revision)
	if first == len(s.changes) {
		return nil, true
	}
	names := make([]string, 0, len(s.changes)-first)
	for _, c := range s.changes[first:] {
		names = append(names, c.name)
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// trim forgets the oldest changes beyond the limit, by whole revisions and never
// the newest one.
func (s *shelf) trim(newest uint64) {
	limit := max(keptChanges, 2*len(s.items))
	if len(s.changes) <= limit {
		return
	}
	last := s.changes[len(s.changes)-limit/2].revision
	if last >= newest {
		last = newest - 1
	}
	cut := s.after(last)
	if cut == 0 {
		return
	}
	s.floor = last
	s.changes = slices.Clone(s.changes[cut:])
}

// after is the index of the first change that is newer than revision.
func (s *shelf) after(revision uint64) int {
	return sort.Search(len(s.changes), func(i int) bool { return s.changes[i].revision > revision })
}

package endpoints

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// Table is the sum of the slice events up to a moment. Not safe for concurrent use.
type Table struct {
	slices map[events.Key]Slice
	// byService holds the keys of the slices of namespace/service, of which there
	// are few.
	byService map[string][]events.Key
	// current is what was last handed out under each name; dirty are the names
	// whose slices have changed since.
	current map[string]Assignment
	dirty   map[string]struct{}
}

// NewTable is the table that holds the given slices; all of it is new to [Table.Take].
func NewTable(all []Slice) *Table {
	t := &Table{
		slices:    map[events.Key]Slice{},
		byService: map[string][]events.Key{},
		current:   map[string]Assignment{},
		dirty:     map[string]struct{}{},
	}
	for _, s := range all {
		t.set(keyOf(s), s)
	}
	return t
}

// Apply takes one event in. Events that are not about an EndpointSlice change
// nothing. On error the last readable state of the slice stays in force.
func (t *Table) Apply(e events.Event) error {
	if e.Key.Resource != events.EndpointSlices {
		return nil
	}
	switch e.Type {
	case events.ObjectDeleted:
		t.remove(e.Key)
	case events.ObjectApplied, events.ObjectBaseline:
		s, err := parse(e.Key.Namespace, e.Key.Name, e.Data)
		if err != nil {
			return fmt.Errorf("apply message %d: %w", e.Sequence, err)
		}
		t.set(e.Key, s)
	}
	return nil
}

// Take is the assignments that differ from when they were last taken, sorted by name.
func (t *Table) Take() []Assignment {
	var out []Assignment
	for _, name := range slices.Sorted(maps.Keys(t.dirty)) {
		a := t.compute(name)
		old, known := t.current[name]
		switch {
		case a.Gone && !known, known && !a.Gone && old.Digest == a.Digest:
			continue
		case a.Gone:
			delete(t.current, name)
		default:
			t.current[name] = a
		}
		out = append(out, a)
	}
	clear(t.dirty)
	return out
}

// All is every assignment as it was last taken, sorted by name.
func (t *Table) All() []Assignment {
	return slices.SortedFunc(maps.Values(t.current), func(a, b Assignment) int { return cmp.Compare(a.Name, b.Name) })
}

// Slices is everything that the table holds, sorted: what [NewTable] takes.
func (t *Table) Slices() []Slice {
	out := slices.Collect(maps.Values(t.slices))
	slices.SortFunc(out, func(a, b Slice) int { return keyOf(a).Compare(keyOf(b)) })
	return out
}

func (t *Table) set(key events.Key, s Slice) {
	t.remove(key)
	t.slices[key] = s
	service := s.Namespace + "/" + s.Service
	t.byService[service] = append(t.byService[service], key)
	t.touch(s)
}

func (t *Table) remove(key events.Key) {
	old, ok := t.slices[key]
	if !ok {
		return
	}
	delete(t.slices, key)
	service := old.Namespace + "/" + old.Service
	others := slices.DeleteFunc(t.byService[service], func(k events.Key) bool { return k == key })
	if t.byService[service] = others; len(others) == 0 {
		delete(t.byService, service)
	}
	t.touch(old)
}

func (t *Table) touch(s Slice) {
	if s.Service == "" {
		return
	}
	for _, p := range s.Ports {
		t.dirty[nameOf(s, p)] = struct{}{}
	}
}

// compute sums the slices of the Service that name speaks of.
func (t *Table) compute(name string) Assignment {
	service := name[:strings.LastIndexByte(name, '/')]
	var places []place
	found := false
	for _, key := range t.byService[service] {
		s := t.slices[key]
		for _, p := range s.Ports {
			if nameOf(s, p) != name {
				continue
			}
			found = true
			for _, e := range s.Endpoints {
				places = append(places, place{zone: e.Zone, address: e.Address, port: p.Number, udp: p.UDP, ready: e.Ready})
			}
		}
	}
	if !found {
		return Empty(name)
	}
	return build(name, places)
}

func keyOf(s Slice) events.Key {
	return events.Key{Resource: events.EndpointSlices, Namespace: s.Namespace, Name: s.Name}
}

// nameOf is the name of an assignment; no name in Kubernetes holds a slash.
func nameOf(s Slice, p Port) string { return s.Namespace + "/" + s.Service + "/" + p.Name }

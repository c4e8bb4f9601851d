package fold

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Pin is what is read of a RoutingPin.
type Pin struct {
	Spec v1alpha1.RoutingPinSpec
	// By is the field manager that wrote it last, or the file that it is from; "" where
	// it does not say.
	By string
}

// manifestAnnotation names the file of an object that is from a manifest.
const manifestAnnotation = "rutter.dev/manifest"

func readPin(p *v1alpha1.RoutingPin) *Pin {
	out := &Pin{Spec: p.Spec, By: p.Annotations[manifestAnnotation]}
	for _, f := range p.ManagedFields {
		out.By = cmp.Or(f.Manager, out.By)
	}
	return out
}

// Kept is what was recorded of the routing that a RoutingPin named: of the one that
// Head names, which need not be what the RoutingPin names by now.
type Kept struct {
	// Head says of what it is, and Head.Problem why there is nothing.
	Head events.PinnedRouting
	// Time is when the version was published. Routing is nil where there is a problem.
	Time    time.Time
	Routing *routing.GatewayState

	parts []events.PinnedRouting
}

// Kept is what was recorded last for a RoutingPin, as a whole; nil is nothing yet.
func (s *State) Kept(key events.Key) *Kept { return s.kept[key] }

func (s *State) keepRouting(e events.Event) ([]events.Key, error) {
	var part events.PinnedRouting
	if err := json.Unmarshal(e.Data, &part); err != nil {
		return nil, err
	}
	if s.Object(e.Key) == nil {
		return nil, nil // it was deleted meanwhile
	}
	whole, err := s.addPart(e.Key, part)
	if err != nil || !whole {
		return nil, err
	}
	return []events.Key{e.Key}, nil
}

// addPart tells whether what is kept is another one with this part.
func (s *State) addPart(key events.Key, part events.PinnedRouting) (bool, error) {
	have := s.kept[key]
	known := have != nil && have.Head.Problem == nil && have.Head.SamePin(part)
	switch coming := s.coming[key]; {
	case known:
		return false, nil // it was recorded again, or is not to be had any more
	case part.Problem != nil:
		delete(s.coming, key)
		s.kept[key] = &Kept{Head: part, parts: []events.PinnedRouting{part}}
		return true, nil
	case part.Part == 0:
		s.coming[key] = []events.PinnedRouting{part}
	case len(coming) == part.Part && coming[0].SamePin(part):
		s.coming[key] = append(coming, part)
	default: // the beginning was for what the object named before
		delete(s.coming, key)
		return false, nil
	}
	if len(s.coming[key]) < part.Parts {
		return false, nil
	}
	next, err := newKept(s.coming[key], s.content)
	if err != nil {
		return false, err
	}
	delete(s.coming, key)
	s.kept[key] = next
	return true, nil
}

func newKept(parts []events.PinnedRouting, content Content) (*Kept, error) {
	k := &Kept{Head: parts[len(parts)-1], parts: parts}
	k.Head.Data = nil
	if content == Bytes {
		return k, nil
	}
	state, err := routing.DecodePinned(parts)
	if err != nil {
		return nil, err
	}
	k.Time, k.Routing = state.Time, state.Gateways[k.Head.Gateway]
	k.keep(content)
	return k, nil
}

func (k *Kept) keep(content Content) {
	switch content {
	case Everything:
	case Values:
		k.parts = nil
	case Bytes:
		k.Routing = nil
	}
}

// keptPart is a part as a checkpoint has it.
type keptPart struct {
	Key events.Key `json:"key"`
	events.PinnedRouting
}

// keptParts are all parts: by key, what is whole ahead of what is not.
func (s *State) keptParts() []keptPart {
	var out []keptPart
	for _, key := range slices.SortedFunc(maps.Keys(s.kept), events.Key.Compare) {
		for _, part := range s.kept[key].parts {
			out = append(out, keptPart{key, part})
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.coming), events.Key.Compare) {
		for _, part := range s.coming[key] {
			out = append(out, keptPart{key, part})
		}
	}
	return out
}

func (s *State) readPinned(d *json.Decoder) error {
	var part keptPart
	if err := d.Decode(&part); err != nil {
		return err
	}
	_, err := s.addPart(part.Key, part.PinnedRouting)
	return err
}

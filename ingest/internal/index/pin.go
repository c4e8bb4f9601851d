package index

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// Pin is what a RoutingPin asks for, and whether that is recorded, or why it cannot be.
type Pin struct {
	Gateway string `json:"gateway"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
	Kept    bool   `json:"kept,omitempty"`
}

func (p *Pin) same(o *Pin) bool {
	return p.Gateway == o.Gateway && p.Version == o.Version && p.Digest == o.Digest
}

// Asked are the RoutingPins for which nothing is recorded yet, sorted.
func (x *Index) Asked() []events.Key {
	return slices.SortedFunc(maps.Keys(x.asking), events.Key.Compare)
}

// noteAsked keeps the set of those that ask.
func (x *Index) noteAsked(key events.Key) {
	if e := x.Entries[key]; e != nil && e.Pin != nil && !e.Pin.Kept {
		if x.asking == nil {
			x.asking = map[events.Key]struct{}{}
		}
		x.asking[key] = struct{}{}
		return
	}
	delete(x.asking, key)
}

// setPin reads what a RoutingPin asks for. One that cannot be read asks for nothing: who
// folds it says so.
func (e *Entry) setPin(of events.Event) {
	if of.Key.Resource != events.RoutingPins {
		return
	}
	var pin v1alpha1.RoutingPin
	if json.Unmarshal(of.Data, &pin) == nil {
		e.Pin = &Pin{Gateway: of.Key.Namespace + "/" + pin.Spec.GatewayRef.Name, Version: pin.Spec.Version, Digest: pin.Spec.Digest}
	}
}

// carryPin takes over from the form before what is recorded for both.
func (e *Entry) carryPin(before *Entry) {
	if e.Pin != nil && before != nil && before.Pin != nil && e.Pin.same(before.Pin) {
		e.Pin.Kept, e.References = before.Pin.Kept, before.References
	}
}

// keepRouting notes the last part of what a RoutingPin asked for.
func (x *Index) keepRouting(e events.Event) error {
	var part events.PinnedRouting
	if err := json.Unmarshal(e.Data, &part); err != nil {
		return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
	}
	entry := x.Entries[e.Key]
	of := &Pin{Gateway: part.Gateway, Version: part.Version, Digest: part.Digest}
	if entry == nil || entry.Pin == nil || !entry.Pin.same(of) || part.Problem == nil && part.Part+1 < part.Parts {
		return nil
	}
	entry.Pin.Kept = true
	x.noteAsked(e.Key)
	if part.Problem == nil {
		entry.References = part.Secrets
	}
	return nil
}

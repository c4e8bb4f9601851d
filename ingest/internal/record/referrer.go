package record

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// needsReferrer tells whether an object is recorded only once something refers to it.
func needsReferrer(key events.Key) bool {
	switch key.Resource {
	case events.Secrets, events.ConfigMaps, events.ClusterTrustBundles:
		return true
	}
	return false
}

// AheadOfReferrer tells whether e has to be in the log together with the event
// after it, which may be the first that refers to it.
func AheadOfReferrer(e events.Event) bool {
	return needsReferrer(e.Key) && e.Type == events.ObjectApplied
}

// referrers are those among changes that can refer to what is only recorded for
// that, with what each refers to.
func referrers(c observed.Changes) (map[events.Key][]events.Key, error) {
	refs := map[events.Key][]events.Key{}
	for _, o := range c.Applied {
		if !index.Refers(o.Key.Resource) {
			continue
		}
		keys, err := References(o)
		if err != nil {
			return nil, err
		}
		refs[o.Key] = keys
	}
	return refs, nil
}

// References are the objects that o refers to and that are only recorded for that.
func References(o observed.Object) ([]events.Key, error) {
	if !index.Refers(o.Key.Resource) {
		return nil, nil
	}
	data, err := normalize.JSON(o.Object)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Key, err)
	}
	keys, err := index.References(o.Key.Resource, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Key, err)
	}
	return keys, nil
}

// wanted are the objects that others refer to, those of c included. Where c has
// neither what refers nor what needs a referrer, nobody asks, and it is not looked for.
func (r *Recorder) wanted(c observed.Changes, refs map[events.Key][]events.Key) map[events.Key]bool {
	if len(refs) == 0 && !slices.ContainsFunc(c.Applied, func(o observed.Object) bool { return needsReferrer(o.Key) }) {
		return nil
	}
	wanted := map[events.Key]bool{}
	for _, e := range r.Events.Entries {
		for _, key := range e.References {
			wanted[key] = true
		}
	}
	for _, keys := range refs {
		for _, key := range keys {
			wanted[key] = true
		}
	}
	return wanted
}

// withFirst puts each of first directly ahead of the first event that refers to
// it. What no event of the list refers to (something recorded does) goes ahead of all.
func withFirst(list []events.Event, first map[events.Key]events.Event, refs map[events.Key][]events.Key) []events.Event {
	if len(first) == 0 {
		return list
	}
	ahead := map[events.Key][]events.Event{} // by referrer
	placed := map[events.Key]bool{}
	for _, e := range list {
		for _, key := range refs[e.Key] {
			if wanted, ok := first[key]; ok && !placed[key] {
				placed[key] = true
				ahead[e.Key] = append(ahead[e.Key], wanted)
			}
		}
	}
	var out []events.Event
	for _, key := range slices.SortedFunc(maps.Keys(first), events.Key.Compare) {
		if !placed[key] {
			out = append(out, first[key])
		}
	}
	for _, e := range list {
		out = append(append(out, ahead[e.Key]...), e)
	}
	return out
}

func (r *Recorder) hold(o observed.Object) {
	if r.held == nil {
		r.held = map[events.Key]observed.Object{}
	}
	r.held[o.Key] = o
}

// released are the held objects that something refers to by now.
func (r *Recorder) released(wanted map[events.Key]bool) []observed.Object {
	var out []observed.Object
	for _, key := range slices.SortedFunc(maps.Keys(r.held), events.Key.Compare) {
		if wanted[key] {
			out = append(out, r.held[key])
			delete(r.held, key)
		}
	}
	return out
}

package statuswriter

import (
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// opened is from which version on Envoys run the generations that there are, where that
// is not the one that recorded them: a pin, or a parent that refused the object, had kept
// them back until then.
type opened struct {
	// loaded is the version that was read as a whole. What was kept back by then nobody
	// knows, so it counts for all.
	loaded   uint64
	byObject map[events.Key]uint64
}

func newOpened(loaded events.Version) opened {
	return opened{loaded: loaded.Sequence, byObject: map[events.Key]uint64{}}
}

// take notes what a version lets be programmed; before are the verdicts of the one
// before it.
func (o *opened) take(before map[events.Key]routing.Verdict, snapshot *routing.Snapshot) {
	for _, v := range snapshot.Verdicts {
		was, known := before[v.Object]
		switch {
		case v.Since > snapshot.Previous.Sequence:
			delete(o.byObject, v.Object) // no version between this one and the generation
		case !known || conditions.Opens(was, v):
			o.byObject[v.Object] = snapshot.Version.Sequence
		}
	}
	for _, key := range snapshot.Gone {
		delete(o.byObject, key)
	}
}

// since is the sequence from which on Envoys run the generation that a verdict is about.
func (o *opened) since(v routing.Verdict) uint64 {
	return max(v.Since, o.loaded, o.byObject[v.Object])
}

package history

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Entry is one event of the log, as people read it.
type Entry struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Change is created, updated, replaced (another object of the name), deleted,
	// refused (by Envoy), time (was reached), read (what a RoutingPin names), unlisted (a kind could not be listed, or
	// the list was not believed), and with all: baseline, listing, listed, epoch.
	Change string `json:"change"`
	// Object as [Object] writes it.
	Object string `json:"object"`
	// By is the field manager that wrote last; "" where the log does not tell.
	By string `json:"by,omitempty"`
	// Actor is who was seen asking for the change. NobodySeen is set where somebody looks
	// who asks for changes, and saw nobody ask for this one.
	Actor      *Actor `json:"actor,omitempty"`
	NobodySeen bool   `json:"nobodySeen,omitempty"`
	// Fields are those that differ from what was recorded of the object before;
	// only of an updated or replaced one.
	Fields []Field `json:"fields,omitempty"`
	// Note is what else the event says.
	Note string `json:"note,omitempty"`
	// Routing is what this did to routing and conditions; nil for nothing.
	Routing *Effect `json:"routing,omitempty"`
	// RoutingUnknown is set where that is no longer kept.
	RoutingUnknown bool `json:"routingUnknown,omitempty"`

	asked *asked // nil where nobody can be seen asking
}

// Query says which entries are wanted.
type Query struct {
	// Object is the only one of interest; the zero Key is all.
	Object events.Key
	// From and Until are the first and last sequence of interest; 0 is no bound.
	From, Until uint64
	// All includes what changed nothing: baselines, listings and epochs.
	All bool
}

// journal makes entries of events, and remembers the last form of each object of
// interest to compare the next one with.
type journal struct {
	query Query
	last  map[events.Key]map[string]any
	// deleting are the requests for deletions that finalizers put off.
	deleting map[events.Key]*asked
}

func newJournal(q Query) *journal {
	return &journal{query: q, last: map[events.Key]map[string]any{}, deleting: map[events.Key]*asked{}}
}

// add is the entry of an event, or nil where it is of no interest.
func (j *journal) add(e events.Event) *Entry {
	if j.query.Object != (events.Key{}) && e.Key != j.query.Object {
		return nil
	}
	entry := &Entry{Sequence: e.Sequence, Time: e.Time, Object: Object(e.Key)}
	quiet := false
	switch e.Type {
	case events.ObjectApplied:
		j.applied(entry, e)
	case events.ObjectBaseline:
		j.applied(entry, e)
		entry.Change, entry.asked, quiet = "baseline", nil, true
	case events.ObjectDeleted:
		j.deleted(entry, e)
	case events.TypeSyncStart:
		entry.Change, quiet = "listing", true
	case events.TypeSyncDone:
		entry.Change, quiet = "listed", true
		var sync events.Sync
		if json.Unmarshal(e.Data, &sync) == nil && sync.Problem != nil {
			entry.Change, entry.Note, quiet = "unlisted", sync.Problem.Message, false
		}
	case events.TypeEpoch:
		entry.Change, quiet = "epoch", true
		var opened events.EpochOpened
		if json.Unmarshal(e.Data, &opened) == nil {
			entry.By = opened.Holder
		}
	case events.TypeVerdict:
		entry.Change = "refused"
		var v events.Verdict
		if json.Unmarshal(e.Data, &v) == nil {
			entry.By, entry.Note = "Envoy of "+v.Gateway, v.Reason
		}
	case events.TypeTime:
		entry.Change = "time"
	case events.TypePinned:
		var p events.PinnedRouting
		if entry.Change = "read"; json.Unmarshal(e.Data, &p) == nil {
			_, sequence, _ := strings.Cut(p.Version, "/")
			entry.Note, quiet = "what "+p.Gateway+" was at version "+sequence, p.Problem == nil && p.Part+1 < p.Parts
			if p.Problem != nil {
				entry.Note = p.Problem.Message
			}
		}
	default:
		entry.Change = string(e.Type)
	}
	if quiet && !j.query.All || e.Sequence < j.query.From {
		return nil
	}
	entry.asked.settle()
	return entry
}

func (j *journal) applied(entry *Entry, e events.Event) {
	var next map[string]any
	if err := json.Unmarshal(e.Keyless(), &next); err != nil { // no command prints a private key, even sealed
		entry.Change, entry.Note = "updated", "cannot be read: "+err.Error()
		return
	}
	before, known := j.last[e.Key]
	j.last[e.Key] = next
	entry.By, entry.asked = manager(next), askedFor(e, before, next)
	if entry.asked.deletion() {
		j.deleting[e.Key] = entry.asked
	}
	switch {
	case !known:
		entry.Change = "created"
	case metadata(before)["uid"] != metadata(next)["uid"]:
		entry.Change, entry.Fields = "replaced", compare(before, next)
	default:
		entry.Change, entry.Fields = "updated", compare(before, next)
	}
}

// deleted was asked for when the deletion was put off, if it was.
func (j *journal) deleted(entry *Entry, e events.Event) {
	entry.Change, entry.asked = "deleted", askedToDelete(e, j.last[e.Key])
	if before := j.deleting[e.Key]; before != nil && entry.asked != nil && before.uid == entry.asked.uid {
		entry.asked = before
	}
	delete(j.last, e.Key)
	delete(j.deleting, e.Key)
}

// Entries are the entries of interest, oldest first, and the sequence of EVENTS
// up to which was read.
func (h *History) Entries(ctx context.Context, q Query) ([]*Entry, uint64, error) {
	entries, _, last, err := h.entries(ctx, q)
	return entries, last, err
}

func (h *History) entries(ctx context.Context, q Query) ([]*Entry, *journal, uint64, error) {
	last, err := h.end(ctx, q)
	if err != nil {
		return nil, nil, 0, err
	}
	entries, j := []*Entry{}, newJournal(q)
	err = h.read(ctx, 0, last, func(e events.Event) {
		if entry := j.add(e); entry != nil {
			entries = append(entries, entry)
		}
	})
	if err == nil {
		err = h.addEffects(ctx, entries)
	}
	if err == nil {
		err = h.AddActors(ctx, entries)
	}
	return entries, j, last, err
}

// end is the last sequence that a query reaches.
func (h *History) end(ctx context.Context, q Query) (uint64, error) {
	v, err := h.At(ctx, Point{})
	if q.Until > 0 {
		return min(q.Until, v.Sequence), err
	}
	return v.Sequence, err
}

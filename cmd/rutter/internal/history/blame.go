package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// Blame says which change last set each field of an object.
type Blame struct {
	Object string `json:"object"`
	// Deleted is the change that deleted it; Fields are those of its last form then.
	Deleted *Set         `json:"deleted,omitempty"`
	Fields  []BlameField `json:"fields"`
}

// BlameField is a field that has no fields of its own, with its present value.
type BlameField struct {
	Path  string `json:"path"`
	Value string `json:"value"`
	Set
}

// Set is the change that set something.
type Set struct {
	// Sequence is 0 where the event is no longer in the log.
	Sequence uint64    `json:"sequence,omitempty"`
	Time     time.Time `json:"time"`
	// Before is so where it was only found to be so at Time: by a list, or because the
	// log does not reach back. Nobody knows who did it then.
	Before bool   `json:"before,omitempty"`
	By     string `json:"by,omitempty"`
	// Actor and NobodySeen are those of the entry.
	Actor      *Actor `json:"actor,omitempty"`
	NobodySeen bool   `json:"nobodySeen,omitempty"`
}

// Who is [Entry.Who] of the change.
func (s *Set) Who() string {
	e := Entry{By: s.By, Actor: s.Actor, NobodySeen: s.NobodySeen}
	return e.Who()
}

// Blame finds out about an object as it is at a version, or as it was when it was
// deleted. It is nil where nothing was recorded of it.
func (h *History) Blame(ctx context.Context, key events.Key, at events.Version) (*Blame, error) {
	b := &blamer{key: key, journal: newJournal(Query{Object: key, All: true})}
	if err := b.begin(ctx, h); err != nil {
		return nil, err
	}
	if err := h.read(ctx, 0, at.Sequence, b.add); err != nil {
		return nil, err
	}
	if b.tree == nil {
		return nil, nil
	}
	if err := h.AddActors(ctx, b.changes()); err != nil {
		return nil, err
	}
	out := &Blame{Object: Object(key), Fields: []BlameField{}}
	if b.deleted != nil {
		set := b.deleted.set()
		out.Deleted = &set
	}
	b.tree.fields(nil, func(path string, leaf *blamed) {
		switch path {
		case "apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace": // nobody can change them
			return
		}
		out.Fields = append(out.Fields, BlameField{Path: path, Value: secretless(path, leaf.value), Set: leaf.mark.set()})
	})
	return out, nil
}

// What is said of a sealed key, by which field: it says nothing to people.
const (
	sealedDigest = "sealedDigest"
	sealed       = "(sealed)"
)

// keyless is the recorded form of an object without a private key, as events are read.
func keyless(key events.Key, recorded []byte) []byte {
	return events.Event{Type: events.ObjectApplied, Key: key, Data: recorded}.Keyless()
}

// secretless is a value for people.
func secretless(path string, value any) string {
	if path == "keyPair."+sealedDigest {
		return sealed
	}
	if text := show(value); text != "" {
		return text
	}
	return `""`
}

// mark is the entry that set something, or found it so.
type mark struct {
	entry  *Entry
	before bool
}

func (m *mark) set() Set {
	out := Set{Sequence: m.entry.Sequence, Time: m.entry.Time.UTC(), Before: m.before}
	if !m.before {
		out.By, out.Actor, out.NobodySeen = m.entry.By, m.entry.Actor, m.entry.NobodySeen
	}
	return out
}

// blamer follows one object through the log.
type blamer struct {
	key     events.Key
	journal *journal
	tree    *blamed
	deleted *mark
	// since is from when on all changes were seen: that of the first event, or while a
	// list of the resource is made, that of its beginning. whole says that the first
	// event ever is among them.
	since   time.Time
	whole   bool
	listing bool
}

// changes are the entries that set something, each once, in the order of the log.
func (b *blamer) changes() []*Entry {
	var out []*Entry
	add := func(m *mark) {
		if m != nil && !m.before && !slices.Contains(out, m.entry) {
			out = append(out, m.entry)
		}
	}
	add(b.deleted)
	b.tree.fields(nil, func(_ string, leaf *blamed) { add(leaf.mark) })
	slices.SortFunc(out, func(x, y *Entry) int { return cmp.Compare(x.Sequence, y.Sequence) })
	return out
}

// begin takes the form that the object has in the oldest checkpoint, where the log
// does not reach back to it.
func (b *blamer) begin(ctx context.Context, h *History) error {
	info, err := h.events.Info(ctx)
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	if b.whole = info.First <= 1; b.whole || info.Last == 0 {
		return nil
	}
	if b.since, err = h.timeOf(ctx, info.First); err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	state, err := replay.FirstState(ctx, h.events, h.folds)
	if errors.Is(err, events.ErrGap) {
		return nil
	} else if err != nil {
		return err
	}
	o := state.Object(b.key)
	if o == nil || o.Sequence >= info.First {
		return nil
	}
	var form map[string]any
	if err := json.Unmarshal(keyless(b.key, o.Recorded()), &form); err != nil {
		return fmt.Errorf("read %s in the oldest checkpoint: %w", Object(b.key), err)
	}
	b.journal.last[b.key] = form
	b.tree = blame(nil, "", events.WithoutAssigned(form), &mark{&Entry{Time: b.since}, true})
	return nil
}

func (b *blamer) add(e events.Event) {
	switch {
	case e.Type == events.TypeEpoch:
		b.listing = false
	case e.Key == events.SyncKey(b.key.Resource):
		if b.listing = e.Type == events.TypeSyncStart; b.listing {
			b.since = e.Time
		}
	}
	if e.Key != b.key {
		return
	}
	before := b.journal.last[b.key]
	entry := b.journal.add(e)
	if entry == nil {
		return
	}
	m := &mark{entry: entry}
	switch e.Type {
	case events.ObjectDeleted:
		b.deleted = m
	case events.ObjectApplied, events.ObjectBaseline:
		form := b.journal.last[b.key]
		if before == nil || metadata(before)["uid"] != metadata(form)["uid"] {
			b.tree, b.deleted = nil, nil
			m.before = e.Type == events.ObjectBaseline || (b.listing || !b.whole) && createdBefore(form, b.since)
		} else {
			m.before = e.Type == events.ObjectBaseline || b.listing
		}
		b.tree = blame(b.tree, "", events.WithoutAssigned(form), m)
	}
}

// createdBefore tells whether an object is older than a time. Its creation is known
// to the second.
func createdBefore(form map[string]any, t time.Time) bool {
	text, _ := metadata(form)["creationTimestamp"].(string)
	created, err := time.Parse(time.RFC3339, text)
	return err != nil || created.Before(t.Truncate(time.Second))
}

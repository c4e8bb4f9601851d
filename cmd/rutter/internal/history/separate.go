package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/textdiff"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// Change is one event, as it is and as people read it.
type Change struct {
	*Entry
	// Before and After are the recorded forms of the object; nil for none.
	Before, After map[string]any
	// BeforeUnknown is set where the log does not tell what was before.
	BeforeUnknown bool

	event events.Event
}

// ErrInseparable says that the events of a version cannot be told apart.
var ErrInseparable = errors.New("they cannot be told apart")

func inseparable(why string) error { return fmt.Errorf("%w: %s", ErrInseparable, why) }

// Culprit is the one event that made a version bad. Where the version was made of
// several, they are folded again one by one, on top of what was published before, which
// is changed by that. It
// is nil, with why as the reason, where that does not tell them apart.
func (h *History) Culprit(ctx context.Context, before *routing.State, turn *routing.Snapshot, isGood func(*routing.State) (bool, error)) (change *Change, why string, err error) {
	if len(turn.Causes) == 0 {
		return nil, "the version does not say of which events it was made", nil
	}
	start := min(turn.Causes[0]-1, turn.Version.Sequence)
	if turn.Previous.Incarnation == turn.Version.Incarnation {
		start = turn.Previous.Sequence
	}
	info, err := h.events.Info(ctx)
	if err != nil {
		return nil, "", err
	}
	if info.Incarnation != turn.Version.Incarnation || start+1 < info.First {
		return nil, "the events are no longer in the log", nil
	}
	state, err := replay.StateAt(ctx, h.events, h.folds, start, fold.Everything)
	if err != nil {
		return nil, "", err
	}
	if len(turn.Causes) == 1 {
		change, err := h.change(ctx, state, turn.Causes[0])
		return change, "", err
	}
	change, err = h.separate(ctx, state, before, turn, isGood)
	if errors.Is(err, ErrInseparable) {
		return nil, err.Error(), nil
	}
	return change, "", err
}

// separate folds the events of a version one by one.
func (h *History) separate(ctx context.Context, state *fold.State, published *routing.State, turn *routing.Snapshot, isGood func(*routing.State) (bool, error)) (*Change, error) {
	if state.Partial() {
		return nil, inseparable("the log does not reach back to what they were folded into")
	}
	engine := replay.FromState(state)
	engine.Resume(published)
	var change *Change
	for at := state.Version.Sequence; at <= turn.Version.Sequence; at++ {
		if at > state.Version.Sequence {
			var err error
			if change, err = h.change(ctx, state, at); err != nil {
				return nil, err
			}
			if err := engine.Fold(change.event); err != nil {
				return nil, err
			}
		}
		s := engine.Project()
		if s == nil {
			continue
		}
		if err := published.Apply(s); err != nil {
			return nil, err
		}
		good, err := isGood(published)
		switch {
		case err != nil:
			return nil, err
		case good:
		case change == nil:
			return nil, inseparable("this build makes something else of what was before them")
		case !slices.Contains(turn.Causes, at) || change.Change == "listed" || change.Change == "epoch":
			return nil, inseparable("they were published together once everything was listed")
		default:
			return change, nil
		}
	}
	return nil, inseparable("this build makes something else of them")
}

// change is the event at a sequence, and what it changed in the state before it.
func (h *History) change(ctx context.Context, before *fold.State, sequence uint64) (*Change, error) {
	e, err := h.event(ctx, sequence)
	if err != nil {
		return nil, err
	}
	c := &Change{event: e, BeforeUnknown: before.Partial()}
	j := newJournal(Query{All: true})
	if o := before.Object(e.Key); o != nil {
		if err := json.Unmarshal(keyless(e.Key, o.Recorded()), &c.Before); err != nil {
			return nil, err
		}
		j.last[e.Key] = c.Before
	}
	c.Entry = j.add(e)
	if err := h.AddActors(ctx, []*Entry{c.Entry}); err != nil {
		return nil, err
	}
	switch e.Type {
	case events.ObjectApplied, events.ObjectBaseline:
		c.After = j.last[e.Key]
	case events.ObjectDeleted:
	default:
		c.Before = nil // it is not about the object itself
	}
	return c, nil
}

// Diff is how the recorded forms differ, in unified form.
func (c *Change) Diff() string {
	if c.BeforeUnknown || c.Before == nil && c.After == nil {
		return ""
	}
	var texts [2]string
	for i, form := range []map[string]any{c.Before, c.After} {
		if form == nil {
			continue
		}
		form = events.WithoutAssigned(form)
		if pair, ok := form["keyPair"].(map[string]any); ok && pair[sealedDigest] != nil {
			pair = maps.Clone(pair)
			pair[sealedDigest] = sealed
			form["keyPair"] = pair
		}
		data, err := yaml.Marshal(form)
		if err != nil {
			return ""
		}
		texts[i] = string(data)
	}
	if texts[0] == texts[1] {
		return ""
	}
	return fmt.Sprintf("--- %s before %d\n+++ %s at %d\n", c.Object, c.Sequence, c.Object, c.Sequence) + textdiff.Unified(texts[0], texts[1])
}

// EntriesOf are the events at these sequences, without what they changed.
func (h *History) EntriesOf(ctx context.Context, sequences []uint64) ([]*Entry, error) {
	var out []*Entry
	j := newJournal(Query{All: true})
	for _, sequence := range sequences {
		e, err := h.event(ctx, sequence)
		if err != nil {
			return out, err
		}
		entry := j.add(e)
		if entry.Change == "created" {
			entry.Change = "applied" // what was before is not known here
		}
		out = append(out, entry)
	}
	return out, h.AddActors(ctx, out)
}

package history

import (
	"context"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// Fold is everything that routing depends on, as recorded up to a version. The error
// says where the log no longer tells, or does not tell yet.
func (h *History) Fold(ctx context.Context, v events.Version, keep fold.Content) (*fold.State, error) {
	info, err := h.events.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read EVENTS: %w", err)
	}
	if v.Incarnation != info.Incarnation {
		return nil, fmt.Errorf("the events of the incarnation %s are no longer in the log; that of the log is %s", v.Incarnation, info.Incarnation)
	}
	state, err := replay.StateAt(ctx, h.events, h.folds, v.Sequence, keep)
	switch {
	case err != nil:
		return nil, err
	case state.Partial():
		return nil, fmt.Errorf("at version %d not all that was in force is known: the log begins at %d, and no checkpoint reaches there", v.Sequence, info.First)
	case !state.Ready():
		return nil, fmt.Errorf("at version %d not everything was listed yet: give a later one", v.Sequence)
	}
	return state, nil
}

// Refold is what this build publishes of what was recorded up to a sequence, as far as the
// log tells.
func (h *History) Refold(ctx context.Context, sequence uint64) (*routing.State, error) {
	state, err := replay.StateAt(ctx, h.events, h.folds, sequence, fold.Values)
	if err != nil {
		return nil, err
	}
	out := routing.NewState()
	if s := replay.FromState(state).Project(); s != nil {
		err = out.Apply(s)
	}
	return out, err
}

// Preview is [replay.Preview] of the log.
func (h *History) Preview(ctx context.Context, changes func(*fold.State) ([]events.Event, error)) (*routing.State, error) {
	return replay.Preview(ctx, h.events, h.folds, changes)
}

package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// Preview is what would be published if what changes says were recorded after all that
// EVENTS holds. The events need no sequences. Nothing is written.
func Preview(ctx context.Context, stream events.Stream, folds events.Bucket, changes func(*fold.State) ([]events.Event, error)) (*routing.State, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open EVENTS: %w", err)
	}
	state, err := StateAt(ctx, stream, folds, info.Last, fold.Values)
	if err != nil {
		return nil, err
	}
	if !state.Ready() {
		return nil, fmt.Errorf("preview: %w", errHalfRead)
	}
	list, err := changes(state)
	if err != nil {
		return nil, err
	}
	e, out := FromState(state), routing.NewState()
	for i, ev := range list {
		ev.Sequence = info.Last + 1 + uint64(i)
		if err := e.Fold(ev); err != nil {
			return nil, fmt.Errorf("preview: %w", err)
		}
	}
	if snap := e.Project(); snap != nil {
		err = out.Apply(snap)
	}
	return out, err
}

var errHalfRead = errors.New("ingest is listing the cluster just now; try again when it has")

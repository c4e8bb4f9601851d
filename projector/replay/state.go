package replay

import (
	"context"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/internal/checkpoint"
)

// StateAt is the fold at a sequence of EVENTS: the newest checkpoint that is not after
// it, and the events from there on. It is partial ([fold.State.Partial]) where
// retention has removed events that no checkpoint holds. keep is what it keeps of
// each object.
func StateAt(ctx context.Context, stream events.Stream, folds events.Bucket, sequence uint64, keep fold.Content) (*fold.State, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open EVENTS: %w", err)
	}
	state, err := checkpoint.Load(ctx, folds, info, sequence, keep)
	if err != nil {
		return nil, err
	}
	return state, checkpoint.FoldTo(ctx, stream, state, sequence)
}

// FirstState is the state from which all that EVENTS holds can be folded. The error
// is [events.ErrGap] where there is none.
func FirstState(ctx context.Context, stream events.Stream, folds events.Bucket) (*fold.State, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open EVENTS: %w", err)
	}
	return checkpoint.LoadFirst(ctx, folds, info)
}

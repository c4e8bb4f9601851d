package history

import (
	"context"
	"errors"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Search says what is searched for between two versions.
type Search struct {
	// Good and Bad are where it is known to be good and bad, of the incarnation of the log.
	Good, Bad events.Version
	// IsGood judges a version.
	IsGood func(*routing.State) (bool, error)
	// Touches tells whether a version can be judged otherwise than the one before.
	Touches func(*routing.Snapshot) bool
}

// Turn is a version that is bad while the one before it is good.
type Turn struct {
	*routing.Snapshot
	// Tried is how many versions were judged.
	Tried int
}

// Bisect finds a turn from good to bad: first among the checkpoints by halving, and
// then it reads on from one to the next. Where there are several turns it finds one.
func (h *History) Bisect(ctx context.Context, s Search) (*Turn, error) {
	after, err := routing.PositionAt(ctx, h.snapshots, s.Good)
	if err != nil {
		return nil, err
	}
	until, err := routing.PositionAt(ctx, h.snapshots, s.Bad)
	if err != nil {
		return nil, err
	}
	places, err := routing.CheckpointsBetween(ctx, h.snapshots, h.bucket, after, until)
	if err != nil {
		return nil, err
	}
	b := &bisection{h: h, search: s}
	defer b.close()
	first, end := 0, len(places) // those before first are good, those from end on bad
	for first < end {
		middle := first + (end-first)/2
		good, err := b.try(ctx, places[middle])
		if err != nil {
			return nil, err
		}
		if good {
			first = middle + 1
		} else {
			end = middle
		}
	}
	if end < len(places) {
		until = places[end].Sequence
	}
	return b.walk(ctx, until)
}

// bisection holds the newest version that is known to be good, and reads on from it.
type bisection struct {
	h        *History
	search   Search
	follower *routing.Follower
	state    *routing.State
	tried    int
}

func (b *bisection) close() {
	if b.follower != nil {
		b.follower.Close()
	}
}

// try judges the checkpoint at a place, and holds it if it is good.
func (b *bisection) try(ctx context.Context, place events.Version) (bool, error) {
	follower, err := routing.FollowCheckpoint(ctx, b.h.snapshots, b.h.bucket, place)
	if err != nil {
		return false, err
	}
	snapshots, err := follower.Next(ctx)
	state := routing.NewState()
	if err == nil {
		err = state.Apply(snapshots[0])
	}
	good := false
	if err == nil {
		b.tried++
		good, err = b.search.IsGood(state)
	}
	if err != nil || !good {
		follower.Close()
		return false, err
	}
	b.close()
	b.follower, b.state = follower, state
	return true, nil
}

// walk reads on to the first version that is bad, which is there by a place in SNAPSHOTS.
func (b *bisection) walk(ctx context.Context, until uint64) (*Turn, error) {
	reached := b.follower != nil // what is known to be good
	if !reached {
		var err error
		if b.follower, err = routing.FollowAt(ctx, b.h.snapshots, b.h.bucket, b.search.Good); err != nil {
			return nil, err
		}
		b.state = routing.NewState()
	}
	for {
		snapshots, err := b.follower.NextUntil(ctx, until)
		if err != nil {
			return nil, err
		}
		if len(snapshots) == 0 {
			return nil, errors.New("no version in between is bad: what was published does not come out as when it was read first")
		}
		for _, s := range snapshots {
			if s.Previous.IsZero() {
				b.state = routing.NewState()
			}
			if err := b.state.Apply(s); err != nil {
				return nil, err
			}
			if !reached || !b.search.Touches(s) {
				reached = reached || s.Version == b.search.Good
				continue
			}
			b.tried++
			if good, err := b.search.IsGood(b.state); err != nil {
				return nil, err
			} else if !good {
				return &Turn{Snapshot: s, Tried: b.tried}, nil
			}
		}
	}
}

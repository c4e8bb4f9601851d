package history

import (
	"context"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Versions are those behind one and up to another, of those that keep accepts, without
// what they hold.
func (h *History) Versions(ctx context.Context, after, until events.Version, keep func(*routing.Snapshot) bool) ([]*routing.Snapshot, error) {
	last, err := routing.PositionAt(ctx, h.snapshots, until)
	if err != nil {
		return nil, err
	}
	follower, err := routing.FollowAt(ctx, h.snapshots, h.bucket, after)
	if err != nil {
		return nil, err
	}
	defer follower.Close()
	var out []*routing.Snapshot
	for {
		batch, err := follower.NextUntil(ctx, last)
		if err != nil || len(batch) == 0 {
			return out, err
		}
		for _, s := range batch {
			if s.Version.Sequence > after.Sequence && keep(s) {
				out = append(out, &routing.Snapshot{Version: s.Version, Previous: s.Previous, Time: s.Time, Causes: s.Causes})
			}
		}
	}
}

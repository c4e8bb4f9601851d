package history

import (
	"context"
	"errors"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// addEffects finds, for each entry, the version that names it as a cause.
func (h *History) addEffects(ctx context.Context, entries []*Entry) error {
	if len(entries) == 0 {
		return nil
	}
	c := newCauses(entries)
	follower, err := h.followBefore(ctx, entries[0].Sequence)
	if errors.Is(err, events.ErrGap) {
		c.unknown(events.Version{Sequence: entries[len(entries)-1].Sequence})
		return nil
	}
	if err != nil {
		return err
	}
	defer follower.Close()
	info, err := h.snapshots.Info(ctx)
	if err != nil {
		return fmt.Errorf("read SNAPSHOTS: %w", err)
	}
	for {
		snapshots, err := follower.NextUntil(ctx, info.Last)
		if err != nil || len(snapshots) == 0 {
			return err
		}
		for _, s := range snapshots {
			if err := c.take(s); err != nil {
				return err
			}
		}
	}
}

// followBefore reads versions from ahead of an event on, or as far back as there are any.
func (h *History) followBefore(ctx context.Context, sequence uint64) (*routing.Follower, error) {
	info, err := h.events.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read EVENTS: %w", err)
	}
	snapshots, err := h.snapshots.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read SNAPSHOTS: %w", err)
	}
	follower, err := routing.FollowAt(ctx, h.snapshots, h.bucket, events.Version{Incarnation: info.Incarnation, Sequence: sequence - 1})
	if err != nil || follower.Position().Sequence+1 >= snapshots.First {
		return follower, err
	}
	follower.Close()
	if follower, err = routing.Follow(ctx, h.snapshots, h.bucket); err == nil && follower.Position().Sequence+1 < snapshots.First {
		follower.Close()
		return nil, events.ErrGap
	}
	return follower, err
}

// causes finds the versions that entries caused.
type causes struct {
	entries map[uint64]*Entry
	state   *routing.State
}

func newCauses(entries []*Entry) *causes {
	c := &causes{entries: map[uint64]*Entry{}, state: routing.NewState()}
	for _, e := range entries {
		c.entries[e.Sequence] = e
	}
	return c
}

// take applies a version and tells the entries that caused it.
func (c *causes) take(s *routing.Snapshot) error {
	if s.Previous.IsZero() {
		c.state = routing.NewState()
		if len(s.Causes) == 0 { // a checkpoint: what led to it is not known here
			c.unknown(s.Version)
		}
	}
	for _, sequence := range s.Causes {
		entry := c.entries[sequence]
		if entry == nil {
			continue
		}
		effect, err := effectOf(c.state, s)
		if err != nil {
			return err
		}
		for _, other := range s.Causes {
			if other != sequence {
				effect.With = append(effect.With, other)
			}
		}
		entry.Routing = effect
	}
	return c.state.Apply(s)
}

// unknown marks the entries up to a version.
func (c *causes) unknown(until events.Version) {
	for _, e := range c.entries {
		e.RoutingUnknown = e.RoutingUnknown || e.Sequence <= until.Sequence
	}
}

package ingest

import (
	"context"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
)

// The moments on which recorded objects depend are known from the log itself, and so
// is which of them are recorded: whoever has the lease goes on with what is left, and
// a moment that came while nobody had it is recorded late, but once.

// moments are the events of those that have come.
func (s *Service) moments() []events.Event {
	var list []events.Event
	now := s.Now().UTC()
	for _, m := range s.events.index.Due(now) {
		list = append(list, events.Event{
			ID:   fmt.Sprintf("time/%s/%d", m.Key, s.events.index.Position.Sequence),
			Type: events.TypeTime, Cluster: s.Cluster, Key: m.Key, Time: now, Data: mustJSON(events.TimeReached{Time: m.Time.UTC()}),
		})
	}
	return list
}

// untilMoment ends when the next one comes. Should the clock be set meanwhile, it is
// found at the next change or upkeep.
func (s *Service) untilMoment(ctx context.Context) (context.Context, context.CancelFunc) {
	next := s.events.index.Next()
	if next.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, next.Sub(s.Now()))
}

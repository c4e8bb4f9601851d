package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// follow records what the source lists, and then each change.
func (s *Service) follow(ctx context.Context) error {
	from, err := s.origin.open(ctx, s)
	if err != nil {
		return err
	}
	defer from.Close()
	defer s.storeLast(ctx, from)
	verdicts := &inbox{}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() { s.judge(watching, verdicts) })
	watch.Go(func() { s.keepPinned(watching, s.pins, verdicts) })
	for {
		if err := s.step(ctx, from, verdicts); err != nil {
			return err
		}
	}
}

// step records the moments that have come, asks for what RoutingPins name, waits for the
// next changes, verdict, moment or upkeep, and does it.
func (s *Service) step(ctx context.Context, from source, verdicts *inbox) error {
	if err := s.append(ctx, s.events, s.moments()...); err != nil {
		return err
	}
	if s.Snapshots != nil {
		s.pins.ask(s.events.index)
	}
	due, cancel := context.WithDeadline(ctx, s.upkeepAt)
	defer cancel()
	until, forget := s.untilMoment(due)
	defer forget()
	waiting, stop := verdicts.interruptible(until)
	changes, err := from.Next(waiting)
	interrupted := waiting.Err() != nil
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := s.append(ctx, s.events, verdicts.take()...); err != nil {
		return err
	}
	switch {
	case err == nil:
		return s.take(ctx, from, changes)
	case due.Err() != nil:
		return s.upkeep(ctx, from)
	case interrupted: // for verdicts, or by a moment
		return nil
	}
	return err
}

// take records changes, and what follows from them.
func (s *Service) take(ctx context.Context, from source, changes observed.Changes) error {
	since, listed := changes.Since, s.lists.all()
	if since.IsZero() {
		since = time.Now()
	}
	err := s.record(ctx, changes)
	s.metrics.Done(time.Since(since), err)
	if err != nil {
		return err
	}
	if changes.Recorded != nil {
		changes.Recorded()
	}
	if !listed && s.lists.all() {
		s.store(ctx, from)
	}
	s.setReady(s.lists.waitsFor())
	return nil
}

// record appends, in an order that harms nobody whichever part is the last: of
// lists the start; endpoints before the routes that need them; endpoints that no
// route needs any more; and of lists the end. Endpoints are complete first: who
// waits for both finds them when routing is published.
func (s *Service) record(ctx context.Context, changes observed.Changes) error {
	changes.Deleted = append(changes.Deleted, s.hold.take(&changes)...)
	batch, err := s.recorder.Batch(changes)
	if err != nil {
		return err
	}
	s.tooLarge.take(&batch, &changes)
	begun, done := s.brackets(changes.Lists, len(batch.Events) > 0)
	relist := s.relists(changes.Lists)
	if relist != nil && s.lists.begin(events.EndpointSlices) {
		if err := s.beginRelist(ctx); err != nil {
			return err
		}
	}
	if err := s.append(ctx, s.endpoints, batch.EndpointsApplied...); err != nil {
		return err
	}
	if err := s.append(ctx, s.events, append(begun, batch.Events...)...); err != nil {
		return err
	}
	if err := s.append(ctx, s.endpoints, batch.EndpointsDeleted...); err != nil {
		return err
	}
	if relist != nil && relist.Complete {
		if err := s.finishRelist(ctx, relist.ResourceVersion); err != nil {
			return err
		}
	}
	if err := s.append(ctx, s.events, done...); err != nil {
		return err
	}
	for _, list := range changes.Lists {
		problem := s.problemOf(list)
		s.lists.take(list, problem)
		s.metrics.listed(list.Resource, s.lists.complete(list.Resource) && problem == nil)
	}
	return nil
}

package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

// source is where the objects in force come from: a [manifests.Reader]. The first
// Next holds what differs from what is recorded, each other one what changed.
type source interface {
	Next(ctx context.Context) (manifests.Changes, error)
	Problems() []manifests.Problem
	Accepted() []manifests.Accepted
	Close() error
}

func openManifests(c manifests.Config) (source, error) { return manifests.Open(c) }

// follow lists the directory between sync brackets, and then records each change.
func (s *service) follow(ctx context.Context) error {
	reader, err := s.source(manifests.Config{
		Dir: s.Dir, Settle: s.Settle, Recorded: s.recorded(), Accepted: s.accepted.take(), Logger: s.Logger,
	})
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := s.list(ctx, reader); err != nil {
		return err
	}
	defer s.storeLast(ctx, reader)
	verdicts := &inbox{}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() { s.judge(watching, verdicts) })
	for {
		if err := s.step(ctx, reader, verdicts); err != nil {
			return err
		}
	}
}

// step waits for the next change, verdict or upkeep, and does it.
func (s *service) step(ctx context.Context, reader source, verdicts *inbox) error {
	due, cancel := context.WithDeadline(ctx, s.upkeepAt)
	defer cancel()
	waiting, stop := verdicts.interruptible(due)
	changes, err := reader.Next(waiting)
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := s.append(ctx, s.events, verdicts.take()...); err != nil {
		return err
	}
	switch {
	case err == nil:
		if err := s.record(ctx, changes); err != nil {
			return err
		}
		s.report(reader.Problems(), changes.Notices)
		return nil
	case due.Err() != nil:
		return s.upkeep(ctx, reader)
	case waiting.Err() != nil: // for verdicts
		return nil
	}
	return err
}

// list records what differs from what is recorded.
func (s *service) list(ctx context.Context, reader source) error {
	relist := s.relistDue()
	if relist {
		if err := s.beginRelist(ctx); err != nil {
			return err
		}
	}
	whole := s.events.index.Unrecorded(Resources())
	if err := s.append(ctx, s.events, s.brackets(events.TypeSyncStart, nil)...); err != nil {
		return err
	}
	notices, err := s.recordAll(ctx, reader)
	if err != nil {
		return err
	}
	// Endpoints first: who waits for both finds them when routing is published.
	if relist {
		missing, err := s.recordSlices(ctx)
		if errors.Is(err, index.ErrLost) {
			s.Logger.Warn("endpointslices whose manifests are refused are left out of the list", "error", err)
			err = nil
		}
		if err == nil {
			err = s.completeRelist(ctx, missing)
		}
		if err != nil {
			return err
		}
	}
	if err := s.append(ctx, s.events, s.brackets(events.TypeSyncDone, whole)...); err != nil {
		return err
	}
	s.report(reader.Problems(), notices)
	s.store(ctx, reader)
	return nil
}

// recordAll records a batch of changes with all its parts.
func (s *service) recordAll(ctx context.Context, reader source) ([]manifests.Notice, error) {
	for {
		changes, err := reader.Next(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.record(ctx, changes); err != nil {
			return nil, err
		}
		if !changes.More {
			return changes.Notices, nil
		}
	}
}

// brackets open or close the lists of all resources of EVENTS; whole are those
// that hold everything.
func (s *service) brackets(kind events.Type, whole map[string]bool) []events.Event {
	var out []events.Event
	for _, resource := range Resources() {
		if resource != events.EndpointSlices {
			out = append(out, s.bracket(s.events, kind, events.Sync{Resource: resource, Whole: whole[resource]}))
		}
	}
	return out
}

func (s *service) record(ctx context.Context, changes manifests.Changes) error {
	batch, err := s.recorder.Batch(changes)
	if err != nil {
		return err
	}
	if err := s.append(ctx, s.endpoints, batch.EndpointsApplied...); err != nil {
		return err
	}
	if err := s.append(ctx, s.events, batch.Events...); err != nil {
		return err
	}
	return s.append(ctx, s.endpoints, batch.EndpointsDeleted...)
}

// recorded is what the directory is compared with.
func (s *service) recorded() []manifests.Recorded {
	var list []manifests.Recorded
	for _, out := range s.outputs() {
		for key, e := range out.index.Entries {
			r := manifests.Recorded{Key: key, File: e.File, Hash: e.Hash, Object: e.Object}
			if e.Again || key.Resource == events.Secrets {
				r.Hash = routing.Digest{} // the recorded form of a Secret has no private key to compare with
			}
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b manifests.Recorded) int { return a.Key.Compare(b.Key) })
	return list
}

// report says what has changed about what is wrong.
func (s *service) report(problems []manifests.Problem, notices []manifests.Notice) {
	if s.reported && len(notices) == 0 && slices.Equal(problems, s.problems) {
		return
	}
	s.reported, s.problems = true, problems
	var refused, ignored []Problem
	for _, p := range problems {
		refused = append(refused, Problem{Where: p.Source.String(), Message: p.Message})
	}
	for _, n := range notices {
		ignored = append(ignored, Problem{Where: n.Source.String(), Message: n.Message})
	}
	s.Report(refused, ignored)
}

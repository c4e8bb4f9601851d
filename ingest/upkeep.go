package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Retention removes messages by age, whether or not what they say still holds.
// What must outlive them: of EVENTS, this package's index and the projector's
// checkpoints; of ENDPOINTS, which has readers without checkpoints, a fresh copy
// of each slice. A list of ENDPOINTS is therefore whole: between its brackets
// stands every slice that exists, so that a reader who finds both brackets has
// all of them.

// upkeep does what time alone makes necessary.
func (s *service) upkeep(ctx context.Context, reader source) error {
	if s.relistDue() {
		if err := s.beginRelist(ctx); err != nil {
			return err
		}
		if err := s.completeRelist(ctx); err != nil {
			return err
		}
	}
	s.store(ctx, reader)
	return s.checkGap(ctx)
}

// errGap: EVENTS no longer holds what those who fold it would have to read.
var errGap = errors.New("events are lost that no checkpoint holds")

// checkGap is errGap where that is so. Everything that exists is then recorded
// again, in lists that say that they are whole.
func (s *service) checkGap(ctx context.Context) error {
	if s.Folded == nil {
		return nil
	}
	info, err := s.Events.Info(ctx)
	if err != nil {
		return fmt.Errorf("open EVENTS: %w", err)
	}
	folded, err := s.Folded(ctx, info)
	if err != nil {
		return err
	}
	if folded+1 < info.First {
		return fmt.Errorf("%w: the newest one is at %d, the log begins at %d", errGap, folded, info.First)
	}
	return nil
}

// store puts away what makes the next start quick and independent of retention.
func (s *service) store(ctx context.Context, reader source) {
	s.upkeepAt = time.Now().Add(s.Upkeep)
	for _, out := range s.outputs() {
		s.save(ctx, out)
	}
	s.accepted.save(ctx, s.Bucket, reader.Accepted())
}

// storeLast is store at the end, when ctx is over.
func (s *service) storeLast(ctx context.Context, reader source) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.store(ctx, reader)
}

// relistDue tells whether the last whole list is too old, or there is none.
func (s *service) relistDue() bool {
	return s.Now().Sub(s.endpoints.index.Whole.Time) >= s.RelistAfter
}

func (s *service) beginRelist(ctx context.Context) error {
	return s.append(ctx, s.endpoints, s.bracket(s.endpoints, events.TypeSyncStart, events.Sync{Resource: events.EndpointSlices}))
}

// completeRelist records every slice that the list does not hold yet.
func (s *service) completeRelist(ctx context.Context) error {
	missing := s.recorder.Baselines(s.endpoints.index.Begun.Sequence)
	return s.append(ctx, s.endpoints, append(missing, s.bracket(s.endpoints, events.TypeSyncDone, events.Sync{Resource: events.EndpointSlices, Whole: true}))...)
}

package ingest

import (
	"context"
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
	return s.append(ctx, s.endpoints, s.bracket(s.endpoints, events.TypeSyncStart, events.EndpointSlices))
}

// completeRelist records every slice that the list does not hold yet.
func (s *service) completeRelist(ctx context.Context) error {
	missing := s.recorder.Baselines(s.endpoints.index.Begun.Sequence)
	return s.append(ctx, s.endpoints, append(missing, s.bracket(s.endpoints, events.TypeSyncDone, events.EndpointSlices))...)
}

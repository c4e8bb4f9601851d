package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
)

// Retention removes messages by age, whether or not what they say still holds.
// What must outlive them: of EVENTS, this package's index and the projector's
// checkpoints; of ENDPOINTS, which has readers without checkpoints, a fresh copy
// of each slice. A list of ENDPOINTS is therefore whole: between its brackets
// stands every slice that exists, so that a reader who finds both brackets has
// all of them.

// upkeep does what time alone makes necessary.
func (s *Service) upkeep(ctx context.Context, from source) error {
	if s.relistDue() && s.lists.complete(events.EndpointSlices) {
		if err := s.beginRelist(ctx); err != nil {
			return err
		}
		missing, err := s.recordSlices(ctx)
		if err == nil {
			err = s.completeRelist(ctx, missing, "")
		}
		if err != nil {
			return err // with index.ErrLost a new epoch begins
		}
	}
	s.store(ctx, from)
	return s.checkGap(ctx)
}

// errGap: EVENTS no longer holds what those who fold it would have to read.
var errGap = errors.New("events are lost that no checkpoint holds")

// checkGap is errGap where that is so. Everything that exists is then recorded
// again, in lists that say that they are whole.
func (s *Service) checkGap(ctx context.Context) error {
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
func (s *Service) store(ctx context.Context, from source) {
	s.upkeepAt = time.Now().Add(s.Upkeep)
	for _, out := range s.outputs() {
		s.save(ctx, out)
	}
	from.Store(ctx)
}

// storeLast is store at the end, when ctx is over.
func (s *Service) storeLast(ctx context.Context, from source) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.store(ctx, from)
}

// relistDue tells whether the last whole list is too old, or there is none.
func (s *Service) relistDue() bool {
	return s.Now().Sub(s.endpoints.index.Whole.Time) >= s.RelistAfter
}

func (s *Service) beginRelist(ctx context.Context) error {
	return s.append(ctx, s.endpoints, s.bracket(s.endpoints, events.TypeSyncStart, events.Sync{Resource: events.EndpointSlices}))
}

// recordSlices records every slice that the list does not hold yet, but for the
// last part, which it returns.
func (s *Service) recordSlices(ctx context.Context) (part []events.Event, err error) {
	out := s.endpoints
	err = out.index.Payloads(ctx, out.stream, out.index.Begun.Sequence, func(key events.Key, e *index.Entry, payload []byte) error {
		part = append(part, s.recorder.Baseline(key, e, payload))
		if len(part) < many {
			return nil
		}
		full := part
		part = nil
		return s.append(ctx, out, full...)
	})
	return part, err
}

// finishRelist completes the list that a list of the source gave rise to.
func (s *Service) finishRelist(ctx context.Context, resourceVersion string) error {
	missing, err := s.recordSlices(ctx)
	if errors.Is(err, index.ErrLost) {
		s.Logger.Warn("endpointslices of which nothing is left are left out of the list", "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return s.completeRelist(ctx, missing, resourceVersion)
}

func (s *Service) completeRelist(ctx context.Context, missing []events.Event, resourceVersion string) error {
	done := s.bracket(s.endpoints, events.TypeSyncDone, events.Sync{Resource: events.EndpointSlices, ResourceVersion: resourceVersion, Whole: true})
	return s.append(ctx, s.endpoints, append(missing, done)...)
}

package admission

import (
	"context"
	"errors"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

const (
	// queueLength bounds what waits to be recorded: a few MB.
	queueLength = 4096
	// farewell is how long what waits may take to be recorded when all ends.
	farewell = 2 * time.Second
	// retryAfter is how long to wait before a log that refused is tried again.
	retryAfter = time.Second
)

// Publisher appends without a fence. [events.Stream] is one.
type Publisher interface {
	Publish(ctx context.Context, messages ...events.Message) (last uint64, err error)
}

// put queues an event, if there is room.
func (s *Server) put(e events.Event) {
	select {
	case s.queue <- e:
	default:
		s.metrics.dropped.WithLabelValues(reasonFull).Inc()
	}
}

// record appends what is queued until ctx ends, and then what is left, for as long as a
// farewell lasts.
func (s *Server) record(ctx context.Context) {
	for {
		select {
		case e := <-s.queue:
			s.append(ctx, e)
			continue
		case <-ctx.Done():
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		for {
			select {
			case e := <-s.queue:
				s.append(last, e)
			default:
				return
			}
		}
	}
}

// append records one event. What the log does not take for now is tried again, while
// the queue fills; what it never will is dropped.
func (s *Server) append(ctx context.Context, e events.Event) {
	for retryCount := 0; ; retryCount++ {
		_, err := s.Stream.Publish(ctx, events.Encode(e))
		switch {
		case err == nil:
			s.metrics.recorded.WithLabelValues(e.Key.Resource).Inc()
			return
		case errors.Is(err, events.ErrTooLarge), ctx.Err() != nil:
			s.metrics.dropped.WithLabelValues(reasonLog).Inc()
			return
		case retryCount == 0:
			s.Logger.Warn("who asked is not recorded; trying again", "stream", events.StreamActors, "error", err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
		}
	}
}

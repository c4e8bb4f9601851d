package statuswriter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// flushMost bounds how many objects are written before news is looked at again.
const flushMost = 256

// outcome is what came of one object.
type outcome struct {
	waiting []string
	omitted int
	held    bool
	wrote   bool
	err     error
}

// errSkipped is what comes of the objects after one for which the API was away.
var errSkipped = errors.New("not tried")

// flush writes what is due or the first part of it.
func (s *Service) flush(ctx context.Context) {
	if s.stale && !s.state.Version.IsZero() {
		s.findStale(ctx)
	}
	keys := s.queue.ready(time.Now(), flushMost)
	for i, o := range s.writeAll(ctx, keys) {
		s.settle(ctx, keys[i], o)
	}
}

// settle notes what came of one object.
func (s *Service) settle(ctx context.Context, key events.Key, o outcome) {
	now := time.Now()
	if !errors.Is(o.err, errSkipped) && o.err == nil {
		s.setWaiting(key, o.waiting)
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(o.err, errSkipped):
		s.queue.failed(key, now, minRetry)
	case o.err != nil:
		most := maxRetry
		if errors.Is(o.err, ErrUnavailable) {
			most = maxOutage
		}
		retries := s.queue.failed(key, now, most)
		s.metrics.errors.WithLabelValues(key.Resource).Inc()
		if retries&(retries-1) != 0 {
			break // what goes on for long is said ever less often
		}
		s.Logger.Warn("status not written; trying again", process.About(key, s.state.Verdicts[key].Generation, retries), slog.Any("error", o.err))
	case o.held:
		s.queue.held(key)
	default:
		s.queue.done(key, now, o.wrote)
		if o.wrote {
			s.metrics.writes.WithLabelValues(key.Resource).Inc()
		}
		s.tellOmitted(key, o)
	}
}

// tellOmitted says that a status has no room for all that it should say.
func (s *Service) tellOmitted(key events.Key, o outcome) {
	if o.omitted == 0 || !o.wrote {
		return
	}
	s.metrics.omitted.WithLabelValues(key.Resource).Add(float64(o.omitted))
	s.Logger.Warn("status has no room for all entries beside those of others", process.About(key, s.state.Verdicts[key].Generation, 0),
		slog.Int("entries", o.omitted))
}

// writeAll writes objects side by side. Nothing changes the service meanwhile.
// Once the API turns out to be away, the rest is not tried.
func (s *Service) writeAll(ctx context.Context, keys []events.Key) []outcome {
	outcomes := make([]outcome, len(keys))
	next := make(chan int)
	var away atomic.Bool
	var workers sync.WaitGroup
	for range min(s.Workers, len(keys)) {
		workers.Go(func() {
			for i := range next {
				if away.Load() {
					outcomes[i].err = errSkipped
					continue
				}
				outcomes[i] = s.write(ctx, keys[i])
				if errors.Is(outcomes[i].err, ErrUnavailable) {
					away.Store(true)
				}
			}
		})
	}
	for i := range keys {
		next <- i
	}
	close(next)
	workers.Wait()
	return outcomes
}

func (s *Service) write(ctx context.Context, key events.Key) (o outcome) {
	started := time.Now()
	defer func() { s.metrics.reconciled.Done(time.Since(started), o.err) }()
	verdict, ok := s.state.Verdicts[key]
	if !ok {
		o.wrote, o.err = s.Applier.Remove(ctx, key)
		return o
	}
	verdict.Since = s.opened.since(verdict)
	expires := s.queue.items[key].since.Add(hold)
	o.wrote, o.err = s.Applier.Apply(ctx, key, func(current conditions.Object) conditions.Object {
		result := conditions.Of(conditions.Input{
			Verdict: verdict, Fleet: func(gateway string) conditions.Fleet { return s.fleets[gateway] },
			ControllerName: s.ControllerName, Current: current, Now: time.Now(),
		})
		o.waiting, o.omitted = result.Waiting, result.Omitted
		if o.held = started.Before(expires) && s.soon(result.Waiting); o.held {
			return current
		}
		return result.Object
	})
	return o
}

// soon tells whether what an object waits for can be expected within moments: an
// Envoy is connected, or it is not known yet which ones are.
func (s *Service) soon(waiting []string) bool {
	for _, gateway := range waiting {
		if s.fleets[gateway].Envoys > 0 || time.Since(s.started) < s.acquaintance() {
			return true
		}
	}
	return false
}

// acquaintance is how long after the start the servers may not have been heard.
func (s *Service) acquaintance() time.Duration {
	if s.Heartbeats == nil {
		return 0
	}
	return events.HeartbeatEvery + hold/2
}

// findStale marks the objects that have a status of ours and no verdict any
// more, because they went while nobody was looking.
func (s *Service) findStale(ctx context.Context) {
	now := time.Now()
	if now.Before(s.staleDue) {
		return
	}
	keys, err := s.Applier.Applied(ctx)
	if err != nil {
		s.staleDue = now.Add(minRetry)
		s.Logger.Warn("objects with a status not listed; trying again", "error", err)
		return
	}
	s.stale = false
	for _, key := range keys {
		if _, ok := s.state.Verdicts[key]; !ok {
			s.mark(key)
		}
	}
}

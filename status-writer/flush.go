package statuswriter

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// flushMost bounds how many objects are written before news is looked at again.
const flushMost = 1024

// outcome is what came of one object.
type outcome struct {
	waiting []string
	wrote   bool
	err     error
}

// failure is what a flush could not do.
type failure struct {
	keys  []events.Key
	stale bool // the objects without a verdict
}

// flush writes what is pending or the first part of it, classes and Gateways
// ahead of routes, and returns what has to be tried again.
func (s *Service) flush(ctx context.Context) failure {
	var failed failure
	if s.stale && !s.state.Version.IsZero() {
		failed.stale = !s.findStale(ctx)
		s.stale = false
	}
	keys := slices.SortedFunc(maps.Keys(s.dirty), events.Key.Compare)
	keys = keys[:min(len(keys), flushMost)]
	for i, o := range s.writeAll(ctx, keys) {
		key := keys[i]
		delete(s.dirty, key)
		s.setWaiting(key, o.waiting)
		switch {
		case o.err != nil && ctx.Err() == nil:
			s.metrics.errors.WithLabelValues(key.Resource).Inc()
			s.Logger.Warn("status not written; trying again", "resource", key.Resource, "namespace", key.Namespace, "name", key.Name, "error", o.err)
			failed.keys = append(failed.keys, key)
		case o.wrote:
			s.metrics.writes.WithLabelValues(key.Resource).Inc()
		}
	}
	return failed
}

// writeAll writes objects side by side. Nothing changes the service meanwhile.
func (s *Service) writeAll(ctx context.Context, keys []events.Key) []outcome {
	outcomes := make([]outcome, len(keys))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(s.Workers, len(keys)) {
		workers.Go(func() {
			for i := range next {
				outcomes[i] = s.write(ctx, keys[i])
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

func (s *Service) write(ctx context.Context, key events.Key) outcome {
	verdict, ok := s.state.Verdicts[key]
	if !ok {
		return outcome{err: s.Applier.Remove(ctx, key)}
	}
	var o outcome
	o.wrote, o.err = s.Applier.Apply(ctx, key, func(current conditions.Object) conditions.Object {
		result := conditions.Of(conditions.Input{
			Verdict: verdict, Fleet: func(gateway string) conditions.Fleet { return s.fleets[gateway] },
			ControllerName: s.ControllerName, Current: current, Now: time.Now(),
		})
		o.waiting = result.Waiting
		return result.Object
	})
	return o
}

// findStale marks the objects that have a status of ours and no verdict any
// more, because they went while nobody was looking.
func (s *Service) findStale(ctx context.Context) bool {
	keys, err := s.Applier.Applied(ctx)
	if err != nil {
		s.Logger.Warn("objects with a status not listed; trying again", "error", err)
		return false
	}
	for _, key := range keys {
		if _, ok := s.state.Verdicts[key]; !ok {
			s.mark(key)
		}
	}
	return true
}

// retry is what has to be tried again, and when. The pause doubles while
// failures go on, up to maxPause, and is forgotten once nothing is left.
type retry struct {
	keys  []events.Key
	stale bool
	pause time.Duration
	at    time.Time
}

const maxPause = 30 * time.Second

func (r *retry) add(f failure, now time.Time) {
	none := len(r.keys) == 0 && !r.stale
	switch {
	case len(f.keys) == 0 && !f.stale:
		if none {
			r.pause = 0
		}
		return
	case none:
		r.pause = min(max(tick, 2*r.pause), maxPause)
		r.at = now.Add(r.pause)
	}
	r.keys, r.stale = append(r.keys, f.keys...), r.stale || f.stale
}

func (r *retry) due(now time.Time) bool {
	return (len(r.keys) > 0 || r.stale) && !now.Before(r.at)
}

package statuswriter

import (
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// takeState begins with a whole version: everything has to be looked at.
func (s *Service) takeState(state *routing.State) {
	incarnation := s.state.Version.Incarnation
	for key := range s.state.Verdicts {
		s.mark(key)
	}
	state.Gateways = nil // what Envoy is sent is none of our business
	s.state = state
	s.opened = newOpened(state.Version)
	for key := range s.state.Verdicts {
		s.mark(key)
	}
	if state.Version.Incarnation != incarnation {
		s.recountAll()
	}
}

// takeSnapshots applies versions in order.
func (s *Service) takeSnapshots(batch []*routing.Snapshot) error {
	for _, snapshot := range batch {
		if err := s.takeSnapshot(snapshot); err != nil {
			return err
		}
		s.metrics.delay.Observe(time.Since(snapshot.Time).Seconds())
	}
	return nil
}

// takeSnapshot applies a version; the digest over the verdicts is checked.
func (s *Service) takeSnapshot(snapshot *routing.Snapshot) error {
	verdicts := *snapshot
	verdicts.Gateways = nil
	if snapshot.Previous.IsZero() {
		state := routing.NewState()
		if err := state.Apply(&verdicts); err != nil {
			return err
		}
		s.takeState(state)
		return nil
	}
	for _, v := range snapshot.Verdicts {
		if before, ok := s.state.Verdicts[v.Object]; ok && (before.Generation != v.Generation || before.UID != v.UID) {
			s.queue.hurry(v.Object)
		}
	}
	s.opened.take(s.state.Verdicts, &verdicts)
	if err := s.state.Apply(&verdicts); err != nil {
		return err
	}
	for _, v := range snapshot.Verdicts {
		s.mark(v.Object)
	}
	s.mark(snapshot.Gone...)
	s.blameAgain()
	return nil
}

// setWaiting notes which Gateways' Envoys an object waits for.
func (s *Service) setWaiting(key events.Key, gateways []string) {
	for _, name := range s.waitsFor[key] {
		delete(s.waiting[name], key)
		if len(s.waiting[name]) == 0 {
			delete(s.waiting, name)
		}
	}
	delete(s.waitsFor, key)
	if len(gateways) == 0 {
		return
	}
	s.waitsFor[key] = gateways
	for _, name := range gateways {
		if s.waiting[name] == nil {
			s.waiting[name] = map[events.Key]struct{}{}
		}
		s.waiting[name][key] = struct{}{}
	}
}

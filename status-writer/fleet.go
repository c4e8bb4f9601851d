package statuswriter

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// server is the last that one xDS server reported.
type server struct {
	heard  time.Time
	envoys map[string][]routing.EnvoyReceipt // by Gateway
}

// takeReceipt replaces what a server reported before. Its arrival counts, and
// not its own time: clocks of machines differ.
func (s *Service) takeReceipt(m events.Message) error {
	receipt, err := routing.DecodeReceipt(m)
	if err != nil {
		return fmt.Errorf("read RECEIPTS: %w", err)
	}
	next := &server{heard: time.Now(), envoys: map[string][]routing.EnvoyReceipt{}}
	for _, e := range receipt.Envoys {
		next.envoys[e.Gateway] = append(next.envoys[e.Gateway], e)
	}
	s.replace(receipt.Server, next)
	return nil
}

// dropSilent forgets the servers that have not reported for too long.
func (s *Service) dropSilent(now time.Time) {
	if s.Silence == 0 {
		return
	}
	for name, server := range s.servers {
		if now.Sub(server.heard) > s.Silence {
			s.Logger.Warn("xDS server is silent; its Envoys count as gone", "name", name)
			s.replace(name, nil)
		}
	}
}

func (s *Service) replace(name string, next *server) {
	gateways := map[string]struct{}{}
	for _, known := range []*server{s.servers[name], next} {
		if known != nil {
			for gateway := range known.envoys {
				gateways[gateway] = struct{}{}
			}
		}
	}
	if next != nil {
		s.servers[name] = next
	} else {
		delete(s.servers, name)
	}
	for gateway := range gateways {
		s.recount(gateway)
	}
}

func (s *Service) recountAll() {
	gateways := map[string]struct{}{}
	for _, server := range s.servers {
		for gateway := range server.envoys {
			gateways[gateway] = struct{}{}
		}
	}
	for gateway := range gateways {
		s.recount(gateway)
	}
}

// recount sums up the Envoys of a Gateway and marks the objects for which that
// makes a difference.
func (s *Service) recount(gateway string) {
	before, after := s.fleets[gateway], s.count(gateway)
	if after.Envoys == 0 {
		delete(s.fleets, gateway)
	} else {
		s.fleets[gateway] = after
	}
	if !maps.Equal(before.Refused, after.Refused) {
		for _, refused := range []map[events.Key]string{before.Refused, after.Refused} {
			for key := range refused {
				s.mark(key)
			}
		}
	}
	namespace, name, _ := strings.Cut(gateway, "/")
	if key := (events.Key{Resource: events.Gateways, Namespace: namespace, Name: name}); (before.Envoys == 0) != (after.Envoys == 0) {
		s.mark(key)
	}
	if after.Envoys == 0 || after.Held == before.Held && before.Envoys > 0 {
		return
	}
	for key := range s.waiting[gateway] {
		if s.state.Verdicts[key].Since <= after.Held {
			s.mark(key)
		}
	}
}

func (s *Service) count(gateway string) conditions.Fleet {
	var fleet conditions.Fleet
	for _, server := range s.servers {
		for _, e := range server.envoys[gateway] {
			held := e.Held.Sequence
			if e.Held.Incarnation != s.state.Version.Incarnation {
				held = 0
			}
			if fleet.Envoys == 0 || held < fleet.Held {
				fleet.Held = held
			}
			fleet.Envoys++
			for _, r := range e.Refused {
				fleet.Refused = refuse(fleet.Refused, s.blamed(gateway, r.Origin), r.Reason)
			}
		}
	}
	return fleet
}

// blamed is the object to tell about a refusal: the one that it was made from,
// or the Gateway where that one has no conditions (a Service, a Secret).
func (s *Service) blamed(gateway string, origin events.Key) events.Key {
	if _, ok := s.state.Verdicts[origin]; ok {
		return origin
	}
	namespace, name, _ := strings.Cut(gateway, "/")
	return events.Key{Resource: events.Gateways, Namespace: namespace, Name: name}
}

// refuse notes one reason per object: the smallest text, so that the order of
// reports does not matter.
func refuse(refused map[events.Key]string, key events.Key, reason string) map[events.Key]string {
	if refused == nil {
		refused = map[events.Key]string{}
	}
	if before, ok := refused[key]; !ok || reason < before {
		refused[key] = reason
	}
	return refused
}

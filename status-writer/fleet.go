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
	heard time.Time
	// sequence is that of the receipt in RECEIPTS.
	sequence uint64
	envoys   map[string][]routing.EnvoyReceipt // by Gateway
}

// takeReceipts replaces what servers reported before.
func (s *Service) takeReceipts(batch []events.Message) error {
	for _, m := range batch {
		receipt, err := routing.DecodeReceipt(m)
		if err != nil {
			return fmt.Errorf("read RECEIPTS: %w", err)
		}
		s.takeReceipt(receipt, m.Sequence)
	}
	return nil
}

// takeHeartbeats takes the receipts that servers repeat. They are no part of the
// log, so one that cannot be read is passed over.
func (s *Service) takeHeartbeats(batch []events.Message) {
	for _, m := range batch {
		receipt, sequence, err := routing.DecodeHeartbeat(m)
		if err != nil {
			s.Logger.Warn("heartbeat of an xDS server cannot be read", "error", err)
			continue
		}
		s.takeReceipt(receipt, sequence)
	}
}

// takeReceipt replaces what a server reported before, unless that is newer. Its
// arrival counts, and not its own time: clocks of machines differ.
func (s *Service) takeReceipt(receipt *routing.Receipt, sequence uint64) {
	if known := s.servers[receipt.Server]; known != nil && sequence > 0 && sequence <= known.sequence {
		known.heard = time.Now()
		return
	}
	next := &server{heard: time.Now(), sequence: sequence, envoys: map[string][]routing.EnvoyReceipt{}}
	for _, e := range receipt.Envoys {
		next.envoys[e.Gateway] = append(next.envoys[e.Gateway], e)
	}
	s.replace(receipt.Server, next)
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
		for waiting := range s.waiting[gateway] {
			if waiting.Resource == events.ListenerSets { // they say so too
				s.mark(waiting)
			}
		}
	}
	if after.Envoys == 0 || after.Held == before.Held && before.Envoys > 0 {
		return
	}
	for key := range s.waiting[gateway] {
		if s.opened.since(s.state.Verdicts[key]) <= after.Held {
			s.mark(key)
		}
	}
}

func (s *Service) count(gateway string) conditions.Fleet {
	var fleet conditions.Fleet
	for _, e := range s.connected(gateway) {
		held := e.Held.Sequence
		if e.Held.Incarnation != s.state.Version.Incarnation {
			held = 0
		}
		if fleet.Envoys == 0 || held < fleet.Held {
			fleet.Held = held
		}
		fleet.Envoys++
		for _, r := range e.Refused {
			if r.Origin.Resource == events.Secrets && !r.Large {
				continue // whose listeners have it, the verdict says that follows
			}
			fleet.Refused = refuse(fleet.Refused, s.blamed(gateway, r.Origin), r.Reason)
		}
	}
	return fleet
}

// connected are the Envoys of a Gateway. One that two servers report has left the
// one that it was connected to first, which crashed or has not noticed yet.
func (s *Service) connected(gateway string) map[string]routing.EnvoyReceipt {
	envoys := map[string]routing.EnvoyReceipt{}
	for _, server := range s.servers {
		for _, e := range server.envoys[gateway] {
			if known, ok := envoys[e.Node]; !ok || e.Connected.After(known.Connected) {
				envoys[e.Node] = e
			}
		}
	}
	return envoys
}

// blamed is the object to tell about a refusal: the one that it was made from,
// or the Gateway where that one has no conditions (such as a Service).
func (s *Service) blamed(gateway string, origin events.Key) events.Key {
	if _, ok := s.state.Verdicts[origin]; ok {
		return origin
	}
	namespace, name, _ := strings.Cut(gateway, "/")
	return events.Key{Resource: events.Gateways, Namespace: namespace, Name: name}
}

// blameAgain finds anew whom to tell of refusals: a receipt may be read ahead of the
// version in which its object comes.
func (s *Service) blameAgain() {
	var refusing []string
	for gateway, fleet := range s.fleets {
		if len(fleet.Refused) > 0 {
			refusing = append(refusing, gateway)
		}
	}
	for _, gateway := range refusing {
		s.recount(gateway)
	}
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

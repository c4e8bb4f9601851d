package index

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Moment is one that has come for an object.
type Moment struct {
	Key  events.Key
	Time time.Time
}

// Next is when the next moment comes on which a recorded object depends; zero for
// never.
func (x *Index) Next() time.Time { return x.schedule.next() }

// Due are the moments that have come by now and are not recorded, of each object the
// last, sorted by object.
func (x *Index) Due(now time.Time) []Moment {
	if next := x.Next(); next.IsZero() || next.After(now) {
		return nil
	}
	var due []Moment
	for key, ahead := range x.schedule.ahead {
		if n := countReached(ahead, now); n > 0 {
			due = append(due, Moment{key, ahead[n-1]})
		}
	}
	slices.SortFunc(due, func(a, b Moment) int { return a.Key.Compare(b.Key) })
	return due
}

// moments are those of a recorded Secret that were ahead when it was recorded.
func moments(e events.Event) ([]time.Time, error) {
	var secret events.Secret
	if err := json.Unmarshal(e.Data, &secret); err != nil {
		return nil, fmt.Errorf("read key pair: %w", err)
	}
	if secret.KeyPair == nil || secret.KeyPair.NotAfter.IsZero() {
		return nil, nil
	}
	all := []time.Time{secret.KeyPair.NotBefore, secret.KeyPair.NotAfter}
	slices.SortFunc(all, time.Time.Compare)
	return slices.Clip(all[countReached(all, e.Time):]), nil
}

func countReached(sorted []time.Time, now time.Time) int {
	n := 0
	for n < len(sorted) && !sorted[n].After(now) {
		n++
	}
	return n
}

// reach folds in that a moment has come.
func (x *Index) reach(e events.Event) error {
	var moment events.TimeReached
	if err := json.Unmarshal(e.Data, &moment); err != nil {
		return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
	}
	if entry := x.Entries[e.Key]; entry != nil {
		entry.Moments = entry.Moments[countReached(entry.Moments, moment.Time):]
		x.schedule.set(e.Key, entry.Moments)
	}
	return nil
}

// schedule knows the earliest of all moments. Finding it anew costs a look at each
// object that has one, and is done only when the earliest has gone.
type schedule struct {
	ahead    map[events.Key][]time.Time
	earliest time.Time
	stale    bool
}

// set says which moments are ahead of an object.
func (s *schedule) set(key events.Key, ahead []time.Time) {
	if was := s.ahead[key]; len(was) > 0 && was[0].Equal(s.earliest) {
		s.stale = true
	}
	if len(ahead) == 0 {
		delete(s.ahead, key)
		return
	}
	if s.ahead == nil {
		s.ahead = map[events.Key][]time.Time{}
	}
	s.ahead[key] = ahead
	if s.earliest.IsZero() || ahead[0].Before(s.earliest) {
		s.earliest = ahead[0]
	}
}

func (s *schedule) next() time.Time {
	if s.stale {
		s.stale, s.earliest = false, time.Time{}
		for _, ahead := range s.ahead {
			if s.earliest.IsZero() || ahead[0].Before(s.earliest) {
				s.earliest = ahead[0]
			}
		}
	}
	return s.earliest
}

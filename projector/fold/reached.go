package fold

import (
	"encoding/json"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Time passes for an object only by events: the one that recorded it says when that
// was, and each time.reached that a moment on which it depends has come. Only Secrets
// depend on the time.

// Reached is how far time has come for an object; zero is not known, as of one from a
// checkpoint of an older build.
func (s *State) Reached(key events.Key) time.Time { return s.reached[key] }

// observe begins anew: what is recorded last is right, should the clocks of two
// writers differ.
func (s *State) observe(e events.Event) {
	if e.Key.Resource == events.Secrets {
		s.reached[e.Key] = e.Time
	}
}

func (s *State) reach(e events.Event) ([]events.Key, error) {
	var moment events.TimeReached
	if err := json.Unmarshal(e.Data, &moment); err != nil {
		return nil, err
	}
	if s.Object(e.Key) == nil || !moment.Time.After(s.reached[e.Key]) {
		return nil, nil
	}
	s.reached[e.Key] = moment.Time
	return []events.Key{e.Key}, nil
}

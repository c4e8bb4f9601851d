package fold

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// checkpoint is the stored form of a whole state.
type checkpoint struct {
	Format   int                `json:"format"`
	Version  events.Version     `json:"version"`
	Time     time.Time          `json:"time"`
	Epoch    uint64             `json:"epoch"`
	Settings events.Settings    `json:"settings"`
	Chain    routing.Digest     `json:"chain"`
	Synced   []string           `json:"synced"`
	Objects  []checkpointObject `json:"objects"`
	Verdicts []events.Verdict   `json:"verdicts,omitempty"`
}

type checkpointObject struct {
	Key      events.Key      `json:"key"`
	Sequence uint64          `json:"sequence"`
	Since    uint64          `json:"since"`
	Data     json.RawMessage `json:"data"`
	// Good is the last decodable form, where Data is not.
	Good json.RawMessage `json:"good,omitempty"`
}

// MarshalJSON is the state as a checkpoint: [State.UnmarshalJSON] gives back a
// state that folds on exactly as this one would. The same state has the same bytes.
func (s *State) MarshalJSON() ([]byte, error) {
	if s.slim {
		panic("fold: a slim state has no bytes to make a checkpoint of")
	}
	c := checkpoint{
		Format: routing.FormatVersion, Version: s.Version, Time: s.Time, Epoch: s.Epoch, Settings: s.Settings, Chain: s.Chain,
	}
	for _, resource := range slices.Sorted(maps.Keys(s.synced)) {
		if s.synced[resource] {
			c.Synced = append(c.Synced, resource)
		}
	}
	for _, key := range s.Keys() {
		o := s.Object(key)
		stored := checkpointObject{Key: key, Sequence: o.Sequence, Since: o.Since, Data: o.raw}
		if o.Problem != "" {
			stored.Good = o.good
		}
		c.Objects = append(c.Objects, stored)
	}
	for _, key := range s.refused {
		c.Verdicts = append(c.Verdicts, s.verdicts[key])
	}
	return json.Marshal(c)
}

// UnmarshalJSON undoes [State.MarshalJSON].
func (s *State) UnmarshalJSON(data []byte) error {
	var c checkpoint
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	if c.Format != routing.FormatVersion {
		return fmt.Errorf("read checkpoint: %w: format %d, this build reads %d", routing.ErrFormat, c.Format, routing.FormatVersion)
	}
	*s = *NewState(c.Version.Incarnation)
	s.Version, s.Time, s.Epoch, s.Settings, s.Chain = c.Version, c.Time, c.Epoch, c.Settings, c.Chain
	for _, resource := range c.Synced {
		s.synced[resource] = true
	}
	for _, o := range c.Objects {
		if o.Good != nil {
			s.put(events.Event{Key: o.Key, Sequence: o.Sequence, Data: o.Good})
		}
		s.put(events.Event{Key: o.Key, Sequence: o.Sequence, Data: o.Data})
		s.Object(o.Key).Since = o.Since
	}
	for _, v := range c.Verdicts {
		s.addVerdict(v)
	}
	return nil
}

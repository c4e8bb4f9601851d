package fold

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// A checkpoint is the stored form of a whole state: a JSON object of what head
// has, and then the lists objects, verdicts, pinned and classes. It is large, so that it is written
// and read one object at a time.
type head struct {
	Format   int             `json:"format"`
	Version  events.Version  `json:"version"`
	Time     time.Time       `json:"time"`
	Epoch    uint64          `json:"epoch"`
	Settings events.Settings `json:"settings"`
	Chain    routing.Digest  `json:"chain"`
	Synced   []string        `json:"synced"`
	// Unlisted may be left out by older builds.
	Unlisted []Unlisted `json:"unlisted,omitempty"`
}

type checkpointObject struct {
	Key      events.Key      `json:"key"`
	Sequence uint64          `json:"sequence"`
	Since    uint64          `json:"since"`
	Data     json.RawMessage `json:"data"`
	// Good is the last decodable form, where Data is not.
	Good json.RawMessage `json:"good,omitempty"`
	// Reached is [State.Reached].
	Reached time.Time `json:"reached,omitzero"`
	// Entered is when a Gateway came to its class, where that is not Since. Older builds
	// left it out; a class that they stored goes on with nothing, so that it matters to none.
	Entered uint64 `json:"entered,omitempty"`
}

// Write writes the state as a checkpoint: [State.Read] gives a state that folds on
// exactly as this one would. The same state has the same bytes.
func (s *State) Write(out io.Writer) error { return s.write(out, nil) }

// WriteKeyless is [State.Write] without the private keys, but for those of the
// Secrets that keep names: a state that folds on to the same chain and the same
// routing, and has no keys to serve it with.
func (s *State) WriteKeyless(out io.Writer, keep func(secret events.Key) bool) error {
	return s.write(out, func(key events.Key, data []byte) []byte {
		if data == nil || key.Resource != events.Secrets || keep(key) {
			return data
		}
		return events.KeylessSecret(data)
	})
}

// write passes the recorded objects through change, and leaves the keys out of the
// verdicts, unless it is nil.
func (s *State) write(out io.Writer, change func(events.Key, []byte) []byte) error {
	if s.content == Values {
		panic("fold: a state of values has no bytes to make a checkpoint of")
	}
	h := head{Format: routing.FormatVersion, Version: s.Version, Time: s.Time, Epoch: s.Epoch, Settings: s.Settings, Chain: s.Chain, Unlisted: s.Unlisted()}
	for _, resource := range slices.Sorted(maps.Keys(s.synced)) {
		if s.synced[resource] {
			h.Synced = append(h.Synced, resource)
		}
	}
	w := routing.NewStreamWriter(out, h)
	w.List("objects")
	for _, key := range s.Keys() {
		o := s.Object(key)
		stored := checkpointObject{Key: key, Sequence: o.Sequence, Since: o.Since, Data: o.raw, Reached: s.reached[key]}
		if o.Problem != "" {
			stored.Good = o.good
		}
		if o.entered != o.Since {
			stored.Entered = o.entered
		}
		if change != nil {
			stored.Data, stored.Good = change(key, stored.Data), change(key, stored.Good)
		}
		w.Add(stored)
	}
	if len(s.refused) > 0 {
		w.List("verdicts")
	}
	for _, key := range s.refused {
		if change == nil {
			w.Add(s.verdicts[key])
			continue
		}
		data, err := json.Marshal(s.verdicts[key])
		if err != nil {
			return err
		}
		w.Add(json.RawMessage(events.KeylessVerdict(data)))
	}
	if len(s.kept)+len(s.coming) > 0 {
		w.List("pinned")
	}
	for _, part := range s.keptParts() {
		w.Add(part)
	}
	for i, class := range s.failing() {
		if i == 0 {
			w.List("classes")
		}
		w.Add(class)
	}
	return w.End()
}

// Read undoes [State.Write]. Of each object it keeps what s keeps.
func (s *State) Read(d *json.Decoder) error {
	fresh := NewState("")
	fresh.content = s.content
	fields := map[string]json.RawMessage{}
	err := routing.Fields(d, func(name string) error {
		switch name {
		case "objects":
			return routing.Items(d, func() error { return fresh.readObject(d) })
		case "verdicts":
			return routing.Items(d, func() error { return fresh.readVerdict(d) })
		case "pinned":
			return routing.Items(d, func() error { return fresh.readPinned(d) })
		case "classes":
			return routing.Items(d, func() error { return fresh.readClass(d) })
		}
		var value json.RawMessage
		err := d.Decode(&value)
		fields[name] = value
		return err
	})
	if err == nil {
		err = fresh.setHead(fields)
	}
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	fresh.judgeAll()
	*s = *fresh
	return nil
}

// errEnough ends the reading of a checkpoint.
var errEnough = errors.New("that is enough")

// ReadMark is when the last event of a checkpoint was observed, and the chain up to it.
// The objects, which are most of it, are not read.
func ReadMark(data []byte, encoding string) (at time.Time, chain routing.Digest, err error) {
	found := 0
	err = routing.UnmarshalStream(data, encoding, func(d *json.Decoder) error {
		return routing.Fields(d, func(name string) error {
			switch name {
			case "time":
				found++
				return d.Decode(&at)
			case "chain":
				found++
				return d.Decode(&chain)
			case "objects":
				return errEnough
			}
			var other json.RawMessage
			return d.Decode(&other)
		})
	})
	if found == 2 && (err == nil || errors.Is(err, errEnough)) {
		return at, chain, nil
	}
	return at, chain, fmt.Errorf("it does not begin as a checkpoint does: %w", err)
}

func (s *State) setHead(fields map[string]json.RawMessage) error {
	var h head
	data, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(data, &h)
	}
	if err != nil {
		return err
	}
	if h.Format != routing.FormatVersion {
		return fmt.Errorf("%w: format %d, this build reads %d", routing.ErrFormat, h.Format, routing.FormatVersion)
	}
	s.Version, s.Time, s.Epoch, s.Settings, s.Chain = h.Version, h.Time, h.Epoch, h.Settings, h.Chain
	for _, resource := range h.Synced {
		s.synced[resource] = true
	}
	for _, each := range h.Unlisted {
		s.unlisted[each.Resource] = each.Problem
	}
	return nil
}

func (s *State) readObject(d *json.Decoder) error {
	var o checkpointObject
	if err := d.Decode(&o); err != nil {
		return err
	}
	if o.Good != nil {
		s.put(events.Event{Key: o.Key, Sequence: o.Sequence, Data: o.Good})
	}
	s.put(events.Event{Key: o.Key, Sequence: o.Sequence, Data: o.Data, Time: o.Reached})
	read := s.Object(o.Key)
	read.Since = o.Since
	if o.Key.Resource == events.Gateways {
		read.entered = cmp.Or(o.Entered, o.Since)
	}
	return nil
}

func (s *State) readVerdict(d *json.Decoder) error {
	var v events.Verdict
	if err := d.Decode(&v); err != nil {
		return err
	}
	s.addVerdict(v)
	return nil
}

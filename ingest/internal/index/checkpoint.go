package index

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Bucket is the object store of the checkpoints of the index.
const Bucket = "rutter-ingest"

// stored is the form of a checkpoint.
type stored struct {
	Position        events.Version   `json:"position"`
	ResourceVersion uint64           `json:"resourceVersion"`
	Begun           Mark             `json:"begun"`
	Whole           Mark             `json:"whole"`
	Recipient       string           `json:"recipient,omitempty"`
	Entries         map[string]Entry `json:"entries"`
}

// Save stores the index of a stream under its name.
func (x *Index) Save(ctx context.Context, bucket events.Bucket, name string, stream events.Stream) error {
	s := stored{
		Position: x.Position, ResourceVersion: x.ResourceVersion,
		Begun: x.Begun, Whole: x.Whole, Recipient: x.Recipient, Entries: make(map[string]Entry, len(x.Entries)),
	}
	for key, e := range x.Entries {
		s.Entries[key.String()] = *e
	}
	err := x.Payloads(ctx, stream, math.MaxUint64, func(key events.Key, e *Entry, payload []byte) error {
		with := *e
		with.Payload = payload
		s.Entries[key.String()] = with
		return nil
	})
	if err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("store index of %s: %w", name, err)
	}
	data, encoding, err := routing.Marshal(s)
	if err == nil {
		err = bucket.Put(ctx, name, append([]byte(encoding+"\n"), data...))
	}
	if err != nil {
		return fmt.Errorf("store index of %s: %w", name, err)
	}
	return nil
}

// Load folds the checkpoint of a stream, if there is one of this incarnation, and
// all that the stream holds after it.
//
// Where retention has removed events that no checkpoint holds (ingest died, and
// stayed away for longer than that), what they said is not known: every object is
// then to be recorded again.
func Load(ctx context.Context, bucket events.Bucket, name string, stream events.Stream) (*Index, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	x, err := restore(ctx, bucket, name, info)
	if err != nil {
		return nil, err
	}
	if lost := info.First - 1 - min(x.Position.Sequence, info.First-1); lost > 0 {
		x.skip(lost)
	}
	if err := x.CatchUp(ctx, stream, info.Last); err != nil {
		return nil, err
	}
	for key, e := range x.Entries {
		switch {
		case key.Resource != events.EndpointSlices:
		case e.Sequence >= info.First:
			e.Payload = nil
		case e.Payload == nil:
			e.Again = true
		}
	}
	return x, nil
}

// skip passes over events that are lost. Each may have given out a resourceVersion.
func (x *Index) skip(lost uint64) {
	x.Position.Sequence += lost
	x.ResourceVersion += lost
	x.Whole = Mark{}
	x.RecordAgain()
}

// RecordAgain asks to record every object again.
func (x *Index) RecordAgain() {
	for _, e := range x.Entries {
		e.Again = true
	}
}

func restore(ctx context.Context, bucket events.Bucket, name string, info events.StreamInfo) (*Index, error) {
	x := New(info.Incarnation)
	data, err := bucket.Get(ctx, name)
	if errors.Is(err, events.ErrNotFound) {
		return x, nil
	}
	var s stored
	if err == nil {
		encoding, body, _ := strings.Cut(string(data), "\n")
		err = routing.Unmarshal([]byte(body), encoding, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w", name, err)
	}
	if s.Position.Incarnation != info.Incarnation || s.Position.Sequence > info.Last {
		return x, nil
	}
	x.Position, x.ResourceVersion = s.Position, s.ResourceVersion
	x.Begun, x.Whole, x.Recipient = s.Begun, s.Whole, s.Recipient
	for text, e := range s.Entries {
		key, err := events.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("read index of %s: %w", name, err)
		}
		x.Entries[key] = &e
	}
	return x, nil
}

// CatchUp folds in what the stream holds up to the sequence last.
func (x *Index) CatchUp(ctx context.Context, stream events.Stream, last uint64) error {
	if x.Position.Sequence >= last {
		return nil
	}
	reader := stream.Reader(x.Position.Sequence + 1)
	defer reader.Close()
	for x.Position.Sequence < last {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read what is recorded: %w", err)
		}
		for _, m := range messages {
			e, err := events.Decode(m)
			if err != nil {
				return err
			}
			if err := x.Apply(e); err != nil {
				return err
			}
		}
	}
	return nil
}

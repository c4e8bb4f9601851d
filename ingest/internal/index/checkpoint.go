package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Bucket is the object store of the checkpoints of the index.
const Bucket = "rutter-ingest"

// A checkpoint is a JSON object of what head has, and then entries: a map from keys
// as text to each [Entry]. It is written and read one entry at a time.
type head struct {
	Position        events.Version `json:"position"`
	ResourceVersion uint64         `json:"resourceVersion"`
	Begun           Mark           `json:"begun"`
	Whole           Mark           `json:"whole"`
	Recipient       string         `json:"recipient,omitempty"`
	ClusterUID      string         `json:"clusterUID,omitempty"`
	// Listed may be left out by older builds.
	Listed map[string]bool `json:"listed,omitempty"`
	// Moments tells that entries have theirs, which those of older builds have not.
	Moments bool `json:"moments,omitempty"`
}

// Save stores the index of a stream under its name.
func (x *Index) Save(ctx context.Context, bucket events.Bucket, name string, stream events.Stream) error {
	data, encoding, err := routing.MarshalStream(func(out io.Writer) error { return x.write(ctx, out, stream) })
	if err == nil {
		err = bucket.Put(ctx, name, append([]byte(encoding+"\n"), data...))
	}
	if err != nil {
		return fmt.Errorf("store index of %s: %w", name, err)
	}
	return nil
}

func (x *Index) write(ctx context.Context, out io.Writer, stream events.Stream) error {
	w := routing.NewStreamWriter(out, head{x.Position, x.ResourceVersion, x.Begun, x.Whole, x.Recipient, x.ClusterUID, x.Listed, true})
	w.Map("entries")
	with := map[events.Key]bool{}
	err := x.Payloads(ctx, stream, math.MaxUint64, func(key events.Key, e *Entry, payload []byte) error {
		entry := *e
		entry.Payload = payload
		w.AddField(key.String(), entry)
		with[key] = true
		return nil
	})
	if err != nil && !errors.Is(err, ErrLost) {
		return err
	}
	for key, e := range x.Entries {
		if !with[key] {
			w.AddField(key.String(), e)
		}
	}
	return w.End()
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
		if key.Resource == events.EndpointSlices && e.Sequence < info.First && e.Payload == nil {
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
	for key, e := range x.Entries {
		e.Again = true
		if e.Pin != nil {
			e.Pin.Kept = false
			x.noteAsked(key)
		}
	}
}

func restore(ctx context.Context, bucket events.Bucket, name string, info events.StreamInfo) (*Index, error) {
	data, err := bucket.Get(ctx, name)
	if errors.Is(err, events.ErrNotFound) {
		return New(info.Incarnation), nil
	}
	x := New("")
	if err == nil {
		encoding, body, _ := bytes.Cut(data, []byte("\n"))
		err = routing.UnmarshalStream(body, string(encoding), func(d *json.Decoder) error { return x.read(d, info.First) })
	}
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w", name, err)
	}
	if x.Position.Incarnation != info.Incarnation || x.Position.Sequence > info.Last {
		return New(info.Incarnation), nil
	}
	return x, nil
}

// read undoes write. The payloads from the sequence first on are in the stream.
func (x *Index) read(d *json.Decoder, first uint64) error {
	hasMoments := false
	fields := map[string]any{
		"position": &x.Position, "resourceVersion": &x.ResourceVersion, "begun": &x.Begun, "whole": &x.Whole,
		"recipient": &x.Recipient, "clusterUID": &x.ClusterUID, "listed": &x.Listed,
		"moments": &hasMoments,
	}
	err := routing.Fields(d, func(name string) error {
		if field, ok := fields[name]; ok {
			return d.Decode(field)
		}
		if name != "entries" {
			var unknown json.RawMessage
			return d.Decode(&unknown)
		}
		return routing.Fields(d, func(text string) error {
			e := &Entry{}
			if err := d.Decode(e); err != nil {
				return err
			}
			if e.Sequence >= first {
				e.Payload = nil
			}
			key, err := events.ParseKey(text)
			x.Entries[key] = e
			x.schedule.set(key, e.Moments)
			x.noteAsked(key)
			return err
		})
	})
	if !hasMoments {
		x.secretsAgain()
	}
	return err
}

// secretsAgain asks to record the Secrets again, with the moments that they have.
func (x *Index) secretsAgain() {
	for key, e := range x.Entries {
		e.Again = e.Again || key.Resource == events.Secrets
	}
}

// CatchUp folds in what the stream holds up to the sequence last.
func (x *Index) CatchUp(ctx context.Context, stream events.Stream, last uint64) error {
	if x.Position.Sequence >= last {
		return nil
	}
	return x.follow(ctx, stream, last)
}

// Follow folds in what is appended to the stream, until ctx ends: a standby knows
// what is recorded when its turn comes.
func (x *Index) Follow(ctx context.Context, stream events.Stream) error {
	err := x.follow(ctx, stream, math.MaxUint64)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (x *Index) follow(ctx context.Context, stream events.Stream, last uint64) error {
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

package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
)

// output is one stream with what is recorded in it.
type output struct {
	name   string
	stream events.Stream
	writer events.Writer
	index  *index.Index
	saved  uint64 // the sequence up to which the index is stored
}

const (
	// checkpointEvery is after how many recorded events the index is stored.
	checkpointEvery = 10_000
	// retryAfter is how long to wait before a full log is tried again.
	retryAfter = time.Second
	// few is up to how many events are appended one by one, which on a single
	// server is faster than an atomic batch; atomic batches are of many.
	few  = 6
	many = 500
)

// openOutput takes the lease of a stream, then reads what was recorded up to there.
func (s *service) openOutput(ctx context.Context, name string, stream events.Stream, settings *events.Settings) (*output, error) {
	writer, err := stream.Acquire(ctx, events.LeaseConfig{
		Cluster: s.Cluster, Holder: s.Holder, Sole: s.Sole,
		Open: func(epoch uint64) events.Message { return s.guard(name, epoch, settings) },
	})
	if err != nil {
		return nil, fmt.Errorf("take the lease of %s: %w", name, err)
	}
	known, err := index.Load(ctx, s.Bucket, name, stream)
	if err != nil {
		return nil, err
	}
	return &output{name: name, stream: stream, writer: writer, index: known}, nil
}

func (s *service) guard(stream string, epoch uint64, settings *events.Settings) events.Message {
	return events.Encode(events.Event{
		ID: fmt.Sprintf("epoch/%s/%d", stream, epoch), Type: events.TypeEpoch, Cluster: s.Cluster,
		Key: events.EpochKey(stream), Time: s.Now().UTC(), Epoch: epoch,
		Data: mustJSON(events.EpochOpened{Epoch: epoch, Holder: s.Holder, Settings: settings}),
	})
}

// bracket is the event that begins or ends a list of a resource.
func (s *service) bracket(out *output, kind events.Type, sync events.Sync) events.Event {
	return events.Event{
		ID:   fmt.Sprintf("epoch/%s/%d/%s/%s/%d", out.name, out.writer.Epoch(), kind, sync.Resource, out.index.Position.Sequence),
		Type: kind, Cluster: s.Cluster, Key: events.SyncKey(sync.Resource), Time: s.Now().UTC(),
		Data: mustJSON(sync),
	}
}

// mustJSON encodes one of our own payloads, which hold plain data only.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ingest: encode %T: %v", v, err))
	}
	return data
}

// append records events and folds them into the index. While the log is full it
// waits and tries again: nothing is lost.
func (s *service) append(ctx context.Context, out *output, list ...events.Event) error {
	for len(list) > 0 {
		part := list[:min(len(list), many)]
		messages := make([]events.Message, len(part))
		for i := range part {
			part[i].Epoch = out.writer.Epoch()
			messages[i] = events.Encode(part[i])
		}
		write := out.writer.AppendAtomic
		if len(messages) <= few {
			write = out.writer.Append
		}
		last, err := write(ctx, messages...)
		stored := 0
		if last > out.index.Position.Sequence {
			stored = min(len(part), int(last-out.index.Position.Sequence))
		}
		for i := range part[:stored] {
			part[i].Sequence = out.index.Position.Sequence + 1
			if err := out.index.Apply(part[i]); err != nil {
				return err
			}
		}
		list = list[stored:]
		if err := s.afterAppend(ctx, out, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) afterAppend(ctx context.Context, out *output, err error) error {
	switch {
	case errors.Is(err, events.ErrFull):
		s.Stalled(fmt.Errorf("record to %s: %w", out.name, err))
		select {
		case <-time.After(retryAfter):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	case err != nil:
		return fmt.Errorf("record to %s: %w", out.name, err)
	}
	s.Stalled(nil)
	if out.index.Position.Sequence >= out.saved+checkpointEvery {
		s.save(ctx, out)
	}
	return nil
}

// save stores the index of a stream if it has changed. Whatever is not stored is
// read from the log again, so that a failure is only reported.
func (s *service) save(ctx context.Context, out *output) {
	if out.index.Position.Sequence == out.saved {
		return
	}
	if err := out.index.Save(ctx, s.Bucket, out.name, out.stream); err != nil {
		s.Logger.Warn("index was not stored", "stream", out.name, "error", err)
		return
	}
	out.saved = out.index.Position.Sequence
}

package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/record"
)

// output is one stream with what is recorded in it.
type output struct {
	name   string
	stream events.Stream
	writer events.Writer
	index  *index.Index
	saved  uint64 // the sequence up to which the index is stored
	// maxData is how many bytes a payload may have.
	maxData int
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

// openOutput takes the lease of a stream, and knows what was recorded up to there:
// while another ingest holds it, what that one records is folded in.
func (s *Service) openOutput(ctx context.Context, name string, stream events.Stream, sole bool, settings *events.Settings) (*output, error) {
	known, err := index.Load(ctx, s.Bucket, name, stream)
	if err != nil {
		return nil, err
	}
	if err := s.checkCluster(known.ClusterUID); err != nil {
		return nil, err
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	followed := make(chan error, 1)
	go func() { followed <- known.Follow(waiting, stream) }()
	if !sole {
		s.setReady("") // to take over, which may be all day
	}
	writer, err := stream.Acquire(ctx, events.LeaseConfig{
		Cluster: s.Cluster, Holder: s.Holder, Sole: sole,
		Open: func(epoch uint64) events.Message { return s.guard(name, epoch, settings) },
	})
	stop()
	broken := <-followed
	if err != nil {
		return nil, fmt.Errorf("take the lease of %s: %w", name, err)
	}
	out := &output{name: name, stream: stream, writer: writer, index: known}
	if err := s.catchUp(ctx, out, broken); err != nil {
		s.release(ctx, out)
		return nil, err
	}
	return out, nil
}

// catchUp brings the index to the end of the stream, where nobody else writes by now.
// Broken is why following did not do it.
func (s *Service) catchUp(ctx context.Context, out *output, broken error) error {
	info, err := out.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", out.name, err)
	}
	out.maxData = info.MaxData
	if broken == nil {
		broken = out.index.CatchUp(ctx, out.stream, info.Last)
	}
	if !errors.Is(broken, events.ErrGap) {
		return broken
	}
	fresh, err := index.Load(ctx, s.Bucket, out.name, out.stream)
	if err == nil {
		out.index = fresh
	}
	return err
}

func (s *Service) guard(stream string, epoch uint64, settings *events.Settings) events.Message {
	opened := events.EpochOpened{Epoch: epoch, Holder: s.Holder, Settings: settings}
	if settings != nil {
		opened.ClusterUID = s.clusterUID
	}
	return events.Encode(events.Event{
		ID: fmt.Sprintf("epoch/%s/%d", stream, epoch), Type: events.TypeEpoch, Cluster: s.Cluster,
		Key: events.EpochKey(stream), Time: s.Now().UTC(), Epoch: epoch,
		Data: mustJSON(opened),
	})
}

// bracket is the event that begins or ends a list.
func (s *Service) bracket(out *output, kind events.Type, list events.Sync) events.Event {
	key := events.SyncKey(list.Resource)
	if out == s.events {
		key = events.ProblemKey(list.Resource)
	}
	return events.Event{
		ID:   fmt.Sprintf("epoch/%s/%d/%s/%s/%d", out.name, out.writer.Epoch(), kind, list.Resource, out.index.Position.Sequence),
		Type: kind, Cluster: s.Cluster, Key: key, Time: s.Now().UTC(), Data: mustJSON(list),
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
func (s *Service) append(ctx context.Context, out *output, list ...events.Event) error {
	for len(list) > 0 {
		part, together := nextPart(list)
		messages := make([]events.Message, len(part))
		for i := range part {
			part[i].Epoch = out.writer.Epoch()
			messages[i] = events.Encode(part[i])
		}
		write := out.writer.Append
		if together {
			write = out.writer.AppendAtomic
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
			s.metrics.recorded(part[i])
		}
		list = list[stored:]
		if err := s.afterAppend(ctx, out, err); err != nil {
			return err
		}
	}
	return nil
}

// nextPart is what of a list is appended next, and whether it has to be all or
// nothing: a Secret and what first refers to it are never apart.
func nextPart(list []events.Event) (part []events.Event, together bool) {
	n := min(len(list), many)
	for n > 1 && n < len(list) && record.AheadOfReferrer(list[n-1]) {
		n--
	}
	part = list[:n]
	return part, n > few || slices.ContainsFunc(part[:n-1], record.AheadOfReferrer)
}

func (s *Service) afterAppend(ctx context.Context, out *output, err error) error {
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
func (s *Service) save(ctx context.Context, out *output) {
	if out.index.Position.Sequence == out.saved {
		return
	}
	if err := out.index.Save(ctx, s.Bucket, out.name, out.stream); err != nil {
		s.Logger.Warn("index was not stored", "stream", out.name, "error", err)
		return
	}
	out.saved = out.index.Position.Sequence
}

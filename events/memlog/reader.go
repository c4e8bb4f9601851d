package memlog

import (
	"context"
	"fmt"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// reader is a position in a stream. next is 0 until a reader from the start has begun.
type reader struct {
	stream *stream
	next   uint64
	begun  bool
	closed bool
}

// Reader implements [events.Stream].
func (s *stream) Reader(from uint64) events.Reader {
	return &reader{stream: s, next: from}
}

// Next implements [events.Reader].
func (r *reader) Next(ctx context.Context) ([]events.Message, error) {
	for {
		batch, changed, err := r.take()
		if r.closed {
			err = events.ErrClosed
		}
		if err == nil {
			err = r.stream.log.check(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s from %d: %w", r.stream.name, r.next, err)
		}
		if len(batch) > 0 {
			return batch, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-r.stream.log.closed:
		}
	}
}

// take is what is there now, and what to wait for when that is nothing.
func (r *reader) take() (batch []events.Message, changed <-chan struct{}, err error) {
	s := r.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retain()
	if r.next == 0 {
		if s.last == 0 {
			return nil, s.changed, nil
		}
		// What retention left in front has holes that are no gaps.
		batch = slices.Clone(s.survivors)
		r.next = s.last + 1 - uint64(len(s.live))
	} else if first := s.first(); r.next < first {
		return nil, nil, fmt.Errorf("it begins at %d: %w", first, events.ErrGap)
	} else if !r.begun && r.next > s.last+1 {
		return nil, nil, fmt.Errorf("it ends at %d: %w", s.last, events.ErrGap)
	}
	r.begun = true
	bytes := 0
	if i, ok := slices.BinarySearchFunc(s.survivors, r.next, bySequence); ok && len(batch) == 0 {
		batch = slices.Clone(s.survivors[i:])
		r.next = s.last + 1 - uint64(len(s.live))
	}
	i, _ := slices.BinarySearchFunc(s.live, r.next, bySequence)
	for _, m := range s.live[i:] {
		if bytes += int(size(m)); len(batch) == events.MaxBatch || len(batch) > 0 && bytes > events.MaxBatchBytes {
			break
		}
		batch = append(batch, m)
		r.next = m.Sequence + 1
	}
	return batch, s.changed, nil
}

// Close implements [events.Reader].
func (r *reader) Close() { r.closed = true }

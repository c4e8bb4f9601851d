package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rutter-gateway/rutter/events"
)

// stream is one of a bundle. It keeps the lines of the frame that was read last.
type stream struct {
	file              *File
	name, incarnation string
	span              span
	frames            []frame

	mu    sync.Mutex
	at    int // in frames, of lines
	lines [][]byte
}

// Info implements [events.Stream].
func (s *stream) Info(ctx context.Context) (events.StreamInfo, error) {
	info := events.StreamInfo{Incarnation: s.incarnation, First: s.span.First, Last: s.span.Last, MaxData: 1}
	for _, fr := range s.frames {
		info.Bytes += uint64(fr.Size)
	}
	return info, s.file.check(ctx)
}

// Get implements [events.Stream].
func (s *stream) Get(ctx context.Context, sequence uint64) (events.Message, error) {
	err := s.file.check(ctx)
	if err == nil && (sequence < s.span.First || sequence > s.span.Last) {
		err = events.ErrNotFound
	}
	var batch []events.Message
	if err == nil {
		batch, err = s.read(sequence, 1)
	}
	if err != nil {
		return events.Message{}, fmt.Errorf("read message %d of %s: %w", sequence, s.name, err)
	}
	return batch[0], nil
}

// Last implements [events.Stream]. It reads backwards.
func (s *stream) Last(ctx context.Context, subject string) (events.Message, error) {
	err := s.file.check(ctx)
	for i := len(s.frames) - 1; i >= 0 && err == nil; i-- {
		var batch []events.Message
		batch, err = s.read(s.frames[i].First, frameLines)
		for _, m := range slices.Backward(batch) {
			if m.Subject == subject {
				return m, nil
			}
		}
	}
	return events.Message{}, fmt.Errorf("read last message on %s of %s: %w", subject, s.name, cmp.Or(err, events.ErrNotFound))
}

// read is the messages from a sequence on, of one frame, at most so many.
func (s *stream) read(sequence uint64, most int) ([]events.Message, error) {
	at, found := slices.BinarySearchFunc(s.frames, sequence, func(fr frame, sequence uint64) int { return cmp.Compare(fr.Last, sequence) })
	if !found && at == len(s.frames) {
		return nil, events.ErrNotFound
	}
	lines, err := s.unpack(at)
	if err != nil {
		return nil, err
	}
	lines = lines[sequence-s.frames[at].First:]
	lines = lines[:min(most, len(lines))]
	batch := make([]events.Message, len(lines))
	for i, text := range lines {
		l, err := parseLine(text)
		if err == nil && (l.stream != s.name || l.message.Sequence != sequence+uint64(i)) {
			err = errors.New("another message is in its place: the lines of the bundle are in disorder, export it again")
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", sequence+uint64(i), err)
		}
		batch[i] = l.message
	}
	return batch, nil
}

func (s *stream) unpack(at int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines != nil && s.at == at {
		return s.lines, nil
	}
	text, err := s.file.unpack(s.frames[at])
	if err != nil {
		return nil, err
	}
	lines := splitLines(text)
	if fr := s.frames[at]; uint64(len(lines)) != fr.Last-fr.First+1 {
		return nil, fmt.Errorf("the frame of the messages %d to %d has %d lines: export the bundle again", fr.First, fr.Last, len(lines))
	}
	s.at, s.lines = at, lines
	return lines, nil
}

// Publish implements [events.Stream].
func (s *stream) Publish(context.Context, ...events.Message) (uint64, error) { return 0, ErrReadOnly }

// Acquire implements [events.Stream].
func (s *stream) Acquire(context.Context, events.LeaseConfig) (events.Writer, error) {
	return nil, ErrReadOnly
}

// Reader implements [events.Stream].
func (s *stream) Reader(from uint64) events.Reader {
	return &reader{stream: s, next: from, closed: make(chan struct{})}
}

// reader is a position in a stream; next is 0 until a reader from the start has begun.
type reader struct {
	stream *stream
	next   uint64
	begun  bool
	once   sync.Once
	closed chan struct{}
}

// Next implements [events.Reader]. Behind the last message it waits for the end of
// ctx: nothing more comes.
func (r *reader) Next(ctx context.Context) ([]events.Message, error) {
	batch, err := r.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s from %d: %w", r.stream.name, r.next, err)
	}
	return batch, nil
}

func (r *reader) read(ctx context.Context) ([]events.Message, error) {
	if err := r.stream.file.check(ctx); err != nil {
		return nil, err
	}
	s := r.stream
	switch {
	case r.next == 0:
		r.next = s.span.First
	case r.next < s.span.First:
		return nil, fmt.Errorf("it begins at %d: %w", s.span.First, events.ErrGap)
	case !r.begun && r.next > s.span.Last+1:
		return nil, fmt.Errorf("it ends at %d: %w", s.span.Last, events.ErrGap)
	}
	r.begun = true
	if r.next <= s.span.Last {
		select {
		case <-r.closed:
			return nil, events.ErrClosed
		default:
		}
		batch, err := s.read(r.next, frameLines)
		r.next += uint64(len(batch))
		return batch, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.file.closed:
	case <-r.closed:
	}
	return nil, events.ErrClosed
}

// Close implements [events.Reader].
func (r *reader) Close() { r.once.Do(func() { close(r.closed) }) }

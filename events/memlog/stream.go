package memlog

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

const (
	// dedupeWindow is how long a published ID is remembered.
	dedupeWindow = 2 * time.Minute
	// headerRoom is what MaxData leaves for the header of a message.
	headerRoom = 16 << 10
)

// stream holds one sequence of messages. live is contiguous up to last; survivors
// are the permanent messages that outlived what lay before live.
type stream struct {
	log         *Log
	name        string
	incarnation string

	mu        sync.Mutex
	config    events.StreamConfig
	survivors []events.Message
	live      []events.Message
	last      uint64
	bytes     int64
	published map[string]publication
	changed   chan struct{} // closed, and made anew, at every change
	lease     lease
}

type publication struct {
	sequence uint64
	at       time.Time
}

func newStream(l *Log, c events.StreamConfig) *stream {
	return &stream{
		log: l, name: c.Name, incarnation: rand.Text(), config: c,
		published: map[string]publication{}, changed: make(chan struct{}),
	}
}

func (s *stream) configure(c events.StreamConfig) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = c
}

// Info implements [events.Stream].
func (s *stream) Info(ctx context.Context) (events.StreamInfo, error) {
	if err := s.log.check(ctx); err != nil {
		return events.StreamInfo{}, fmt.Errorf("read state of %s: %w", s.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retain()
	return events.StreamInfo{
		Incarnation: s.incarnation, First: s.first(), Last: s.last, Bytes: uint64(s.bytes),
		MaxData: max(1, s.log.maxPayload-headerRoom),
	}, nil
}

// first is where the contiguous end of the stream begins.
func (s *stream) first() uint64 {
	first := s.last + 1 - uint64(len(s.live))
	for _, m := range slices.Backward(s.survivors) {
		if m.Sequence+1 != first {
			break
		}
		first--
	}
	return first
}

// Get implements [events.Stream].
func (s *stream) Get(ctx context.Context, sequence uint64) (events.Message, error) {
	err := s.log.check(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retain()
	if err == nil {
		for _, held := range [][]events.Message{s.live, s.survivors} {
			if i, ok := slices.BinarySearchFunc(held, sequence, bySequence); ok {
				return held[i], nil
			}
		}
		err = events.ErrNotFound
	}
	return events.Message{}, fmt.Errorf("read message %d of %s: %w", sequence, s.name, err)
}

// Last implements [events.Stream].
func (s *stream) Last(ctx context.Context, subject string) (events.Message, error) {
	err := s.log.check(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retain()
	if m, ok := s.lastOn(subject); ok && err == nil {
		return m, nil
	}
	return events.Message{}, fmt.Errorf("read last message on %s of %s: %w", subject, s.name, cmp.Or(err, events.ErrNotFound))
}

func (s *stream) lastOn(subject string) (events.Message, bool) {
	for _, held := range [][]events.Message{s.live, s.survivors} {
		for _, m := range slices.Backward(held) {
			if m.Subject == subject {
				return m, true
			}
		}
	}
	return events.Message{}, false
}

// Publish implements [events.Stream].
func (s *stream) Publish(ctx context.Context, messages ...events.Message) (uint64, error) {
	if err := s.fits(messages); err != nil {
		return 0, fmt.Errorf("publish to %s: %w", s.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint64
	for _, m := range messages {
		if err := s.log.check(ctx); err != nil {
			return last, fmt.Errorf("publish to %s: %w", s.name, err)
		}
		if p, ok := s.published[m.ID]; ok && m.ID != "" && time.Since(p.at) < dedupeWindow {
			last = p.sequence
			continue
		}
		if err := s.store(m); err != nil {
			return last, fmt.Errorf("publish to %s: %w", s.name, err)
		}
		last = s.last
		if m.ID != "" {
			s.published[m.ID] = publication{sequence: s.last, at: time.Now()}
		}
	}
	return last, nil
}

// fits refuses messages that are too large, before anything is stored.
func (s *stream) fits(messages []events.Message) error {
	for i, m := range messages {
		if n := size(m); n > int64(s.log.maxPayload) {
			return fmt.Errorf("message %d of %d on %s has %d bytes, at most %d: %w", i+1, len(messages), m.Subject, n, s.log.maxPayload, events.ErrTooLarge)
		}
	}
	return nil
}

// store appends copies of messages, all or none. The mutex is held.
func (s *stream) store(messages ...events.Message) error {
	s.retain()
	var total int64
	for _, m := range messages {
		total += size(m)
	}
	if limit := s.config.MaxBytes; limit > 0 && s.bytes+total > limit && !s.config.DiscardOld {
		return fmt.Errorf("%d of at most %d bytes: %w", s.bytes, limit, events.ErrFull)
	}
	for _, m := range messages {
		s.last++
		m.Sequence, m.Stored = s.last, time.Now().UTC()
		m.Data, m.Header = slices.Clone(m.Data), maps.Clone(m.Header)
		s.live = append(s.live, m)
	}
	s.bytes += total
	s.retain()
	s.wake()
	return nil
}

func (s *stream) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// retain removes what the limits do not keep. The mutex is held.
func (s *stream) retain() {
	now := time.Now()
	for s.config.MaxAge > 0 && len(s.live) > 0 && now.Sub(s.live[0].Stored) >= s.config.MaxAge {
		if m := s.live[0]; m.Permanent {
			s.survivors = append(s.survivors, m)
		} else {
			s.bytes -= size(m)
		}
		s.live = s.live[1:]
	}
	for s.config.DiscardOld && s.config.MaxBytes > 0 && s.bytes > s.config.MaxBytes {
		oldest := &s.live
		if len(s.survivors) > 0 {
			oldest = &s.survivors
		}
		s.bytes -= size((*oldest)[0])
		*oldest = (*oldest)[1:]
	}
	maps.DeleteFunc(s.published, func(_ string, p publication) bool { return now.Sub(p.at) >= dedupeWindow })
}

func bySequence(m events.Message, sequence uint64) int { return cmp.Compare(m.Sequence, sequence) }

// size is what a message takes of a payload limit and of a stream's MaxBytes.
func size(m events.Message) int64 {
	n := len(m.Data) + len(m.ID)
	for k, v := range m.Header {
		n += len(k) + len(v) + len(": \r\n")
	}
	return int64(n)
}

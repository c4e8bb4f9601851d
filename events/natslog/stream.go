package natslog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rutter-gateway/rutter/events"
)

// incarnationKey is where a stream's metadata holds its own id.
const incarnationKey = "rutter-incarnation"

// dedupeWindow is how long JetStream remembers the ids of Publish.
const dedupeWindow = 2 * time.Minute

type stream struct {
	log         *Log
	name        string
	replicas    int
	incarnation string
	js          jetstream.Stream
}

// Stream implements [events.Log].
func (l *Log) Stream(ctx context.Context, c events.StreamConfig) (events.Stream, error) {
	s, err := l.openStream(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", c.Name, translate(err))
	}
	return s, nil
}

func (l *Log) openStream(ctx context.Context, c events.StreamConfig) (*stream, error) {
	js, err := l.js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && len(c.Subjects) > 0 {
		want := streamConfig(c, map[string]string{incarnationKey: rand.Text()})
		js, err = l.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
			js, err = l.js.Stream(ctx, c.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	have := js.CachedInfo().Config
	if len(c.Subjects) > 0 {
		metadata := maps.Clone(have.Metadata)
		if metadata[incarnationKey] == "" {
			metadata = map[string]string{incarnationKey: rand.Text()}
		}
		if want := streamConfig(c, metadata); !sameLimits(have, want) {
			if js, err = l.js.UpdateStream(ctx, want); err != nil {
				return nil, err
			}
			have = js.CachedInfo().Config
		}
	}
	return &stream{log: l, name: c.Name, replicas: have.Replicas, incarnation: have.Metadata[incarnationKey], js: js}, nil
}

func streamConfig(c events.StreamConfig, metadata map[string]string) jetstream.StreamConfig {
	out := jetstream.StreamConfig{
		Name: c.Name, Subjects: c.Subjects, Metadata: metadata,
		MaxAge: c.MaxAge, MaxBytes: c.MaxBytes, MaxMsgs: -1, Replicas: max(1, c.Replicas),
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		AllowAtomicPublish: true, AllowMsgTTL: true, Duplicates: dedupeWindow,
	}
	if c.MaxBytes == 0 {
		out.MaxBytes = -1
	}
	if c.DiscardOld {
		out.Discard = jetstream.DiscardOld
	}
	if c.MaxAge > 0 && c.MaxAge < dedupeWindow { // the server insists
		out.Duplicates = c.MaxAge
	}
	return out
}

func sameLimits(have, want jetstream.StreamConfig) bool {
	return slices.Equal(have.Subjects, want.Subjects) && have.MaxAge == want.MaxAge && have.MaxBytes == want.MaxBytes &&
		have.Replicas == want.Replicas && have.Discard == want.Discard && have.Duplicates == want.Duplicates &&
		have.AllowDirect == want.AllowDirect && have.AllowAtomicPublish == want.AllowAtomicPublish &&
		have.AllowMsgTTL == want.AllowMsgTTL && have.Metadata[incarnationKey] == want.Metadata[incarnationKey]
}

// Info implements [events.Stream].
func (s *stream) Info(ctx context.Context) (events.StreamInfo, error) {
	info, err := s.js.Info(ctx)
	if err != nil {
		return events.StreamInfo{}, fmt.Errorf("read state of %s: %w", s.name, translate(err))
	}
	first, err := s.first(ctx, info.State)
	if err != nil {
		return events.StreamInfo{}, fmt.Errorf("read first message of %s: %w", s.name, translate(err))
	}
	return events.StreamInfo{
		Incarnation: s.incarnation, First: first, Last: info.State.LastSeq, Bytes: info.State.Bytes,
		MaxData: max(1, int(s.log.conn.MaxPayload())-headerRoom),
	}, nil
}

// first is where the contiguous end of the stream begins. Before it there are
// only permanent messages that outlived what lay between: one step for each.
func (s *stream) first(ctx context.Context, state jetstream.StreamState) (uint64, error) {
	if state.Msgs == 0 {
		return state.LastSeq + 1, nil
	}
	at, holes := state.FirstSeq, state.LastSeq-state.FirstSeq+1-state.Msgs
	for holes > 0 {
		m, err := s.js.GetMsg(ctx, at+1, jetstream.WithGetMsgSubject(">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return state.LastSeq + 1, nil
		}
		if err != nil {
			return 0, err
		}
		if m.Sequence > state.LastSeq { // appended since
			return state.LastSeq + 1, nil
		}
		holes -= min(holes, m.Sequence-at-1)
		at = m.Sequence
	}
	return at, nil
}

// Get implements [events.Stream]. AllowDirect is off, so the leader answers.
func (s *stream) Get(ctx context.Context, sequence uint64) (events.Message, error) {
	raw, err := s.js.GetMsg(ctx, sequence)
	if err != nil {
		return events.Message{}, fmt.Errorf("read message %d of %s: %w", sequence, s.name, translate(err))
	}
	return decodeRaw(raw), nil
}

// Last implements [events.Stream].
func (s *stream) Last(ctx context.Context, subject string) (events.Message, error) {
	raw, err := s.js.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return events.Message{}, fmt.Errorf("read last message on %s of %s: %w", subject, s.name, translate(err))
	}
	return decodeRaw(raw), nil
}

// Publish implements [events.Stream].
func (s *stream) Publish(ctx context.Context, messages ...events.Message) (uint64, error) {
	if err := s.fits(messages); err != nil {
		return 0, fmt.Errorf("publish to %s: %w", s.name, err)
	}
	var last uint64
	for _, m := range messages {
		var ack *jetstream.PubAck
		err := s.log.room(size(m))
		if err == nil {
			ack, err = s.log.js.PublishMsg(ctx, encode(m, m.ID))
		}
		if err != nil {
			if lasting := refusal(err); lasting != nil {
				err = lasting
			}
			return last, fmt.Errorf("publish to %s: %w", s.name, err)
		}
		last = ack.Sequence
	}
	return last, nil
}

// fits refuses messages that are too large for the server, before any is sent.
func (s *stream) fits(messages []events.Message) error {
	limit := int(s.log.conn.MaxPayload())
	for i, m := range messages {
		if n := size(m); n > limit {
			return fmt.Errorf("message %d of %d on %s has %d bytes, at most %d: %w", i+1, len(messages), m.Subject, n, limit, events.ErrTooLarge)
		}
	}
	return nil
}

// size is what a message takes of a payload limit, with the headers of a fenced
// batch.
func size(m events.Message) int {
	const fence = 256
	n := len(m.Data) + len(m.ID) + fence
	for k, v := range m.Header {
		n += len(k) + len(v) + len(": \r\n")
	}
	return n
}

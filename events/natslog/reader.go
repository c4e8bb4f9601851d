package natslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/rutter-gateway/rutter/events"
)

const (
	// watch is how long a reader waits in silence before it asks whether the
	// stream went on without it.
	watch = time.Second
	// straggle is how long it waits for messages that it knows to be there.
	straggle = 100 * time.Millisecond
	// ahead is how many messages are on their way at a time.
	ahead = 1000
	// idle is after what time without a reader the server forgets a consumer.
	idle = time.Minute
)

// reader reads through an ephemeral pull consumer, which it replaces by a new one
// after the last message read as soon as anything is odd: a jump, an error, a
// silence while the stream grows. Recovering the old one has hung in practice.
type reader struct {
	stream *stream
	// next is the sequence to read next; 0 until a reader from the start has begun.
	next  uint64
	begun bool
	// floor is where the contiguous end of the stream began when a reader from the
	// start opened it: up to there retention has left holes that are no gaps.
	floor uint64

	consumer string
	pull     jetstream.MessagesContext
	closed   bool
}

var (
	// errStalled ends the use of a consumer, not of the reader.
	errStalled = errors.New("the consumer has stalled")
	// errSilent means that there is no message for now.
	errSilent = errors.New("no message")
)

// Reader implements [events.Stream].
func (s *stream) Reader(from uint64) events.Reader { return &reader{stream: s, next: from} }

// Close implements [events.Reader].
func (r *reader) Close() {
	r.closed = true
	r.drop()
}

// Next implements [events.Reader].
func (r *reader) Next(ctx context.Context) ([]events.Message, error) {
	for wait := 20 * time.Millisecond; ; {
		batch, err := r.read(ctx)
		switch {
		case len(batch) > 0:
			return batch, nil
		case err == nil: // silence, and nothing was missed
			continue
		case ctx.Err() != nil:
			err = ctx.Err()
		case transient(err):
			r.stream.log.logger.Warn("reader replaces its consumer", "stream", r.stream.name, "seq", r.next)
			r.drop()
			if pause(ctx, wait) {
				wait = min(2*wait, watch)
				continue
			}
			err = ctx.Err()
		}
		return nil, fmt.Errorf("read %s from %d: %w", r.stream.name, r.next, translate(err))
	}
}

// transient tells whether another consumer may do better.
func transient(err error) bool {
	err = translate(err)
	return !errors.Is(err, events.ErrGap) && !errors.Is(err, events.ErrNotFound) && !errors.Is(err, events.ErrClosed)
}

// read returns what is there, or nothing after a silence.
func (r *reader) read(ctx context.Context) ([]events.Message, error) {
	if r.closed {
		return nil, events.ErrClosed
	}
	if r.pull == nil {
		if err := r.open(ctx); err != nil {
			return nil, err
		}
	}
	m, pending, err := r.wait(ctx, watch)
	if errors.Is(err, errSilent) {
		if err = ctx.Err(); err == nil {
			m, pending, err = r.missed(ctx)
		}
		if errors.Is(err, errSilent) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	batch, bytes := []events.Message{m}, size(m)
	within, cancel := context.WithTimeout(ctx, straggle)
	defer cancel()
	for pending > 0 && len(batch) < events.MaxBatch && bytes < events.MaxBatchBytes {
		if m, pending, err = r.receive(within); err != nil {
			if !errors.Is(err, errSilent) {
				r.drop() // what is odd about it shows again on the next read
			}
			break
		}
		batch, bytes = append(batch, m), bytes+size(m)
	}
	return batch, nil
}

// missed tells a silence from a stall.
func (r *reader) missed(ctx context.Context) (events.Message, uint64, error) {
	info, err := r.stream.js.Info(ctx)
	if err != nil {
		return events.Message{}, 0, err
	}
	if info.State.LastSeq < max(1, r.next) || info.State.Msgs == 0 {
		return events.Message{}, 0, errSilent
	}
	m, pending, err := r.wait(ctx, straggle)
	if errors.Is(err, errSilent) {
		err = errStalled
	}
	return m, pending, err
}

// open makes a consumer that begins at next.
func (r *reader) open(ctx context.Context) error {
	info, err := r.stream.Info(ctx)
	if err != nil {
		return err
	}
	config := jetstream.ConsumerConfig{
		Name: nuid.Next(), AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: idle,
	}
	switch {
	case r.next == 0:
		r.floor = info.First
	case r.next < info.First && r.next > r.floor:
		return fmt.Errorf("it begins at %d: %w", info.First, events.ErrGap)
	case r.next > info.Last+1 && !r.begun:
		return fmt.Errorf("it ends at %d: %w", info.Last, events.ErrGap)
	default:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.next
	}
	consumer, err := r.stream.js.CreateConsumer(ctx, config)
	if err != nil {
		return err
	}
	r.consumer, r.begun = config.Name, true
	// A pull must have room for the largest message, or it would wait for ever.
	bytes := max(events.MaxBatchBytes, int(r.stream.log.conn.MaxPayload())+headerRoom)
	r.pull, err = consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(ahead, bytes))
	return err
}

// drop leaves the present consumer. The server also forgets it by itself.
func (r *reader) drop() {
	if r.pull == nil {
		return
	}
	r.pull.Stop()
	r.pull = nil
	_ = r.stream.log.conn.Publish("$JS.API.CONSUMER.DELETE."+r.stream.name+"."+r.consumer, nil)
}

func (r *reader) wait(ctx context.Context, patience time.Duration) (events.Message, uint64, error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.receive(within)
}

// receive is the next message in order, and how many more were there when it was
// sent; errSilent when there is none until within ends.
func (r *reader) receive(within context.Context) (events.Message, uint64, error) {
	for {
		msg, err := r.pull.Next(jetstream.NextContext(within))
		if within.Err() != nil && err != nil {
			return events.Message{}, 0, errSilent
		}
		if err != nil {
			return events.Message{}, 0, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return events.Message{}, 0, err
		}
		sequence := meta.Sequence.Stream
		if sequence < r.next {
			continue
		}
		if r.next != 0 && sequence > r.next && sequence > r.floor {
			if meta.Sequence.Consumer > 1 { // perhaps only a lost delivery: a new consumer tells
				return events.Message{}, 0, errStalled
			}
			return events.Message{}, 0, fmt.Errorf("it goes on at %d: %w", sequence, events.ErrGap)
		}
		r.next = sequence + 1
		return decode(msg.Subject(), msg.Headers(), msg.Data(), sequence, meta.Timestamp), meta.NumPending, nil
	}
}

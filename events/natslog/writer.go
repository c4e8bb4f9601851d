package natslog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/rutter-gateway/rutter/events"
)

const (
	// singlesAtR1 is how many messages of an Append go one by one on a single
	// server: an atomic batch costs 2.5 ms there, a message 0.4 ms.
	singlesAtR1 = 6
	// chunkBytes bounds the data of the batches that Append makes.
	chunkBytes = 8 << 20
)

// writer appends in one epoch. last is the sequence after which its next message
// belongs; the server refuses that message anywhere else.
type writer struct {
	stream *stream
	epoch  uint64
	// turn holds last, and is empty while an append is under way.
	turn chan uint64

	lost     chan struct{}
	lostOnce sync.Once
	beats    heartbeats
}

// Epoch implements [events.Writer].
func (w *writer) Epoch() uint64 { return w.epoch }

// Lost implements [events.Writer].
func (w *writer) Lost() <-chan struct{} { return w.lost }

func (w *writer) lose() { w.lostOnce.Do(func() { close(w.lost) }) }

// Append implements [events.Writer].
func (w *writer) Append(ctx context.Context, messages ...events.Message) (uint64, error) {
	return w.inTurn(ctx, messages, func(last uint64) (uint64, error) {
		for len(messages) > 0 && w.stream.replicas == 1 && len(messages) <= singlesAtR1 {
			if err := w.commit(ctx, last, messages[:1]); err != nil {
				return last, err
			}
			last, messages = last+1, messages[1:]
		}
		for len(messages) > 0 {
			n := chunk(messages)
			if err := w.commit(ctx, last, messages[:n]); err != nil {
				return last, err
			}
			last, messages = last+uint64(n), messages[n:]
		}
		return last, nil
	})
}

// chunk is how many of messages go into the next batch.
func chunk(messages []events.Message) int {
	bytes := 0
	for i, m := range messages {
		if bytes += size(m); i == events.MaxAtomic || i > 0 && bytes > chunkBytes {
			return i
		}
	}
	return len(messages)
}

// AppendAtomic implements [events.Writer].
func (w *writer) AppendAtomic(ctx context.Context, messages ...events.Message) (uint64, error) {
	return w.inTurn(ctx, messages, func(last uint64) (uint64, error) {
		if n := len(messages); n > events.MaxAtomic {
			return last, fmt.Errorf("%d messages at once, at most %d: %w", n, events.MaxAtomic, events.ErrTooLarge)
		}
		if len(messages) == 0 {
			return last, nil
		}
		if err := w.commit(ctx, last, messages); err != nil {
			return last, err
		}
		return last + uint64(len(messages)), nil
	})
}

// inTurn runs one append at a time, and keeps the sequence that it returns.
func (w *writer) inTurn(ctx context.Context, messages []events.Message, do func(last uint64) (uint64, error)) (last uint64, err error) {
	select {
	case last = <-w.turn:
	case <-ctx.Done():
		return 0, fmt.Errorf("append to %s: %w", w.stream.name, ctx.Err())
	}
	defer func() { w.turn <- last }()
	if err = ctx.Err(); err == nil {
		err = w.stream.fits(messages)
	}
	if err == nil {
		last, err = do(last)
	}
	if err != nil {
		return last, fmt.Errorf("append to %s after %d: %w", w.stream.name, last, err)
	}
	return last, nil
}

// commit records messages at last+1 and on, all or none, and does not return
// before that is settled, or ctx ends.
func (w *writer) commit(ctx context.Context, last uint64, messages []events.Message) error {
	bytes := 0
	for _, m := range messages {
		bytes += size(m)
	}
	if err := w.stream.log.room(bytes); err != nil {
		return err
	}
	for again, wait := false, 20*time.Millisecond; ; again, wait = true, min(2*wait, time.Second) {
		select {
		case <-w.lost:
			return events.ErrFenced
		default:
		}
		err := w.send(ctx, last, messages)
		if err == nil {
			return nil
		}
		if lasting := refusal(err); lasting != nil {
			if again { // an earlier attempt without an answer may still arrive
				w.lose()
			}
			return lasting
		}
		// Refused for its position, or no answer: what lies there says which.
		done, err := w.settle(ctx, last, messages)
		if done || err != nil {
			return err
		}
		if !pause(ctx, wait) {
			return w.unknown(ctx)
		}
	}
}

// send tries once. Repeating it is harmless: the expected sequence lets at most
// one of the attempts through.
func (w *writer) send(ctx context.Context, last uint64, messages []events.Message) error {
	ctx, cancel := context.WithTimeout(ctx, w.stream.log.patience)
	defer cancel()
	js := w.stream.log.js
	if len(messages) == 1 {
		_, err := js.PublishMsg(ctx, encode(messages[0], ""), jetstream.WithExpectLastSequence(last))
		return err
	}
	out := make([]*nats.Msg, len(messages))
	for i, m := range messages {
		out[i] = encode(m, "")
	}
	out[0].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(last, 10))
	_, err := jetstreamext.PublishMsgBatch(ctx, js, out,
		jetstreamext.BatchFlowControl{AckFirst: true, AckTimeout: w.stream.log.patience})
	return err
}

// settle finds out whether messages were recorded at last+1 and on: done, not
// yet (false), or never ([events.ErrFenced]).
func (w *writer) settle(ctx context.Context, last uint64, messages []events.Message) (done bool, err error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		found, err := w.stream.Get(ctx, last+1)
		if err == nil {
			if same(found, messages[0]) {
				return true, nil
			}
			w.lose()
			return false, events.ErrFenced
		}
		if errors.Is(err, events.ErrNotFound) {
			info, err := w.stream.js.Info(ctx)
			if err == nil && info.State.LastSeq == last {
				return false, nil
			}
			if err == nil && info.State.LastSeq < last { // not the stream that we wrote
				w.lose()
				return false, events.ErrFenced
			}
			// Recorded in between, or removed already: look again.
		} else if lasting := refusal(err); lasting != nil {
			w.lose()
			return false, lasting
		}
		if !pause(ctx, wait) {
			return false, w.unknown(ctx)
		}
	}
}

// unknown ends the epoch: ctx ended before an append was settled, so the next
// one could not know where it belongs.
func (w *writer) unknown(ctx context.Context) error {
	w.lose()
	return fmt.Errorf("it is unknown whether it was recorded: %w", ctx.Err())
}

// same tells whether found is what this writer sent to that position. A message
// of anybody else there would be the guard of a later epoch.
func same(found, sent events.Message) bool {
	return found.Subject == sent.Subject && found.ID == sent.ID &&
		string(found.Data) == string(sent.Data) && maps.Equal(found.Header, sent.Header)
}

// Close implements [events.Writer].
func (w *writer) Close(ctx context.Context) error {
	w.lose()
	defer w.beats.stop()
	select {
	case last := <-w.turn:
		w.turn <- last
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close writer of %s: %w", w.stream.name, ctx.Err())
	}
}

package natslog

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/rutter-gateway/rutter/events"
)

// Restore makes a stream that does not exist yet with the incarnation and the messages
// of another one, under their sequences, from first on. What is stored are the
// messages as they were, but for the time at which the log took them.
//
// It is for a log that nobody else uses. After an error the stream is left half made.
func (l *Log) Restore(ctx context.Context, c events.StreamConfig, incarnation string, first uint64, batches iter.Seq2[[]events.Message, error]) error {
	config := streamConfig(c, map[string]string{incarnationKey: incarnation})
	config.FirstSeq = first
	if _, err := l.js.CreateStream(ctx, config); err != nil {
		return fmt.Errorf("restore stream %s: %w", c.Name, err)
	}
	last := first - 1
	for batch, err := range batches {
		for err == nil && len(batch) > 0 {
			n := chunk(batch)
			if batch[0].Sequence != last+1 || batch[n-1].Sequence != last+uint64(n) {
				return fmt.Errorf("restore stream %s: the messages %d to %d do not follow %d", c.Name, batch[0].Sequence, batch[n-1].Sequence, last)
			}
			err = l.restore(ctx, batch[:n])
			last, batch = last+uint64(n), batch[n:]
		}
		if err != nil {
			return fmt.Errorf("restore stream %s: %w", c.Name, err)
		}
	}
	return nil
}

// restore appends messages where they belong.
func (l *Log) restore(ctx context.Context, messages []events.Message) error {
	bytes := 0
	out := make([]*nats.Msg, len(messages))
	for i, m := range messages {
		out[i] = encode(m, "")
		bytes += size(m)
	}
	if err := l.room(bytes); err != nil {
		return err
	}
	if len(out) == 1 { // a batch has a cost of its own
		ack, err := l.js.PublishMsg(ctx, out[0], jetstream.WithStallWait(l.patience))
		if err == nil && ack.Sequence != messages[0].Sequence {
			err = errMisplaced
		}
		return err
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.js, out, jetstreamext.BatchFlowControl{AckFirst: true, AckTimeout: l.patience})
	if err == nil && ack.Sequence != messages[len(messages)-1].Sequence {
		err = errMisplaced
	}
	return err
}

// errMisplaced means that somebody else writes the stream.
var errMisplaced = errors.New("a message got another sequence than it had")

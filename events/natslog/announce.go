package natslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rutter-gateway/rutter/events"
)

// maxHeard and maxHeardBytes bound what waits for a listener that is slow.
const (
	maxHeard      = 4096
	maxHeardBytes = 64 << 20
)

// Announce implements [events.Log].
func (l *Log) Announce(ctx context.Context, m events.Message) error {
	err := ctx.Err()
	if err == nil {
		err = l.conn.PublishMsg(encode(m, ""))
	}
	if err != nil {
		return fmt.Errorf("announce on %s: %w", m.Subject, translate(err))
	}
	return nil
}

// Listen implements [events.Log].
func (l *Log) Listen(ctx context.Context, subject string) (events.Listener, error) {
	sub, err := l.subscribe(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, translate(err))
	}
	return &listener{subject: subject, sub: sub}, nil
}

func (l *Log) subscribe(ctx context.Context, subject string) (*nats.Subscription, error) {
	sub, err := l.conn.SubscribeSync(subject)
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(maxHeard, maxHeardBytes); err != nil {
		return nil, err
	}
	// Once the server answers, it knows of the subscription.
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	if err := l.conn.FlushWithContext(ctx); err != nil {
		_ = sub.Unsubscribe() // the error that counts is err
		return nil, err
	}
	return sub, nil
}

type listener struct {
	subject string
	sub     *nats.Subscription
}

// Next implements [events.Listener].
func (l *listener) Next(ctx context.Context) ([]events.Message, error) {
	for {
		m, err := l.sub.NextMsgWithContext(ctx)
		switch {
		case err == nil:
			return l.rest(m), nil
		case errors.Is(err, nats.ErrSlowConsumer): // some were dropped
			continue
		case errors.Is(err, nats.ErrBadSubscription):
			err = events.ErrClosed
		}
		return nil, fmt.Errorf("listen to %s: %w", l.subject, translate(err))
	}
}

// rest is m with what is there after it.
func (l *listener) rest(m *nats.Msg) []events.Message {
	batch := []events.Message{heard(m)}
	for waiting, _, err := l.sub.Pending(); err == nil && waiting > 0; waiting-- {
		if m, err = l.sub.NextMsg(time.Millisecond); err != nil {
			break
		}
		batch = append(batch, heard(m))
	}
	return batch
}

func heard(m *nats.Msg) events.Message { return decode(m.Subject, m.Header, m.Data, 0, time.Now()) }

// Close implements [events.Listener].
func (l *listener) Close() { _ = l.sub.Unsubscribe() } // the connection may be closed

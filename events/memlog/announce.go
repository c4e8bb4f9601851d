package memlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// maxHeard is how many announcements wait for a listener that is slow.
const maxHeard = 4096

// Announce implements [events.Log].
func (l *Log) Announce(ctx context.Context, m events.Message) error {
	if err := l.check(ctx); err != nil {
		return fmt.Errorf("announce on %s: %w", m.Subject, err)
	}
	m.Data, m.Header, m.Sequence, m.Stored = slices.Clone(m.Data), maps.Clone(m.Header), 0, time.Now().UTC()
	l.mu.Lock()
	defer l.mu.Unlock()
	for listener := range l.listeners {
		if listener.hears(m.Subject) {
			select {
			case listener.heard <- m:
			default:
			}
		}
	}
	return nil
}

// Listen implements [events.Log].
func (l *Log) Listen(ctx context.Context, subject string) (events.Listener, error) {
	if err := l.check(ctx); err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &listener{log: l, subject: subject, heard: make(chan events.Message, maxHeard), closed: make(chan struct{})}
	l.listeners[out] = struct{}{}
	return out, nil
}

type listener struct {
	log     *Log
	subject string
	heard   chan events.Message
	closed  chan struct{}
	once    sync.Once
}

// hears tells whether a message on subject is for this listener.
func (l *listener) hears(subject string) bool {
	prefix, many := strings.CutSuffix(l.subject, "*")
	if !many {
		return subject == l.subject
	}
	last, ok := strings.CutPrefix(subject, prefix)
	return ok && !strings.Contains(last, ".")
}

// Next implements [events.Listener].
func (l *listener) Next(ctx context.Context) ([]events.Message, error) {
	var err error
	select {
	case <-l.closed:
		err = events.ErrClosed
	case <-l.log.closed:
		err = events.ErrClosed
	case m := <-l.heard:
		batch := []events.Message{m}
		for range len(l.heard) {
			batch = append(batch, <-l.heard)
		}
		return batch, nil
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, fmt.Errorf("listen to %s: %w", l.subject, err)
}

// Close implements [events.Listener].
func (l *listener) Close() {
	l.once.Do(func() { close(l.closed) })
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	delete(l.log.listeners, l)
}

package memlog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// lease is who may write a stream, and when the holder was last heard.
type lease struct {
	epoch    uint64
	heard    time.Time
	released bool
}

// writer appends as long as last is the last sequence of the stream.
type writer struct {
	stream *stream
	epoch  uint64
	last   uint64 // guarded by stream.mu

	lost      chan struct{}
	lostOnce  sync.Once
	stop      chan struct{}
	heartbeat sync.WaitGroup
}

// Acquire implements [events.Stream].
func (s *stream) Acquire(ctx context.Context, c events.LeaseConfig) (events.Writer, error) {
	c, err := c.WithDefaults(s.name)
	if err != nil {
		return nil, fmt.Errorf("acquire %s: %w", s.name, err)
	}
	began := time.Now()
	for {
		if err := s.log.check(ctx); err != nil {
			return nil, fmt.Errorf("acquire %s: %w", s.name, err)
		}
		w, wait, changed, err := s.tryAcquire(c, began)
		if err != nil {
			return nil, fmt.Errorf("acquire %s: %w", s.name, err)
		}
		if w != nil {
			w.heartbeat.Go(func() { w.beat(c.Heartbeat) })
			return w, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		case <-s.log.closed:
		}
		timer.Stop()
	}
}

// tryAcquire takes the lease, or says how long the holder may stay silent.
func (s *stream) tryAcquire(c events.LeaseConfig, began time.Time) (*writer, time.Duration, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := began
	if s.lease.heard.After(silent) {
		silent = s.lease.heard
	}
	wait := time.Until(silent.Add(c.Dead))
	if s.last > 0 && !c.Sole && !s.lease.released && wait > 0 {
		return nil, wait, s.changed, nil
	}
	epoch := s.lease.epoch + 1
	if err := s.store(c.Open(epoch)); err != nil {
		return nil, 0, nil, err
	}
	s.lease = lease{epoch: epoch, heard: time.Now()}
	return &writer{stream: s, epoch: epoch, last: s.last, lost: make(chan struct{}), stop: make(chan struct{})}, 0, nil, nil
}

// beat says that the holder lives, until it does not hold the lease any more.
func (w *writer) beat(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-w.stop:
			return
		}
		w.stream.mu.Lock()
		held := w.stream.lease.epoch == w.epoch
		if held {
			w.stream.lease.heard = time.Now()
		}
		w.stream.mu.Unlock()
		if !held {
			w.lose()
			return
		}
	}
}

func (w *writer) lose() { w.lostOnce.Do(func() { close(w.lost) }) }

// Epoch implements [events.Writer].
func (w *writer) Epoch() uint64 { return w.epoch }

// Lost implements [events.Writer].
func (w *writer) Lost() <-chan struct{} { return w.lost }

// Append implements [events.Writer].
func (w *writer) Append(ctx context.Context, messages ...events.Message) (uint64, error) {
	if err := w.stream.fits(messages); err != nil {
		return w.at(), fmt.Errorf("append to %s: %w", w.stream.name, err)
	}
	for _, m := range messages {
		if last, err := w.commit(ctx, m); err != nil {
			return last, err
		}
	}
	return w.at(), nil
}

// AppendAtomic implements [events.Writer].
func (w *writer) AppendAtomic(ctx context.Context, messages ...events.Message) (uint64, error) {
	if n := len(messages); n > events.MaxAtomic {
		return w.at(), fmt.Errorf("append %d messages to %s at once, at most %d: %w", n, w.stream.name, events.MaxAtomic, events.ErrTooLarge)
	}
	if err := w.stream.fits(messages); err != nil {
		return w.at(), fmt.Errorf("append to %s: %w", w.stream.name, err)
	}
	return w.commit(ctx, messages...)
}

func (w *writer) at() uint64 {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	return w.last
}

// commit stores all messages or none, if nobody else has written since.
func (w *writer) commit(ctx context.Context, messages ...events.Message) (uint64, error) {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	err := w.stream.log.check(ctx)
	select {
	case <-w.lost:
		err = events.ErrFenced
	default:
	}
	if err == nil && w.stream.last != w.last {
		w.lose()
		err = events.ErrFenced
	}
	if err == nil {
		err = w.stream.store(messages...)
	}
	if err != nil {
		return w.last, fmt.Errorf("append to %s after %d: %w", w.stream.name, w.last, err)
	}
	w.last = w.stream.last
	return w.last, nil
}

// Close implements [events.Writer].
func (w *writer) Close(context.Context) error {
	w.lose()
	w.stream.mu.Lock()
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	if w.stream.lease.epoch == w.epoch {
		w.stream.lease.released = true
		w.stream.wake()
	}
	w.stream.mu.Unlock()
	w.heartbeat.Wait()
	return nil
}

package memlog

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rutter-gateway/rutter/events"
)

// Config of a log.
type Config struct {
	// MaxPayload is the size in bytes of the largest message, header and data; 1 MiB when zero.
	MaxPayload int
}

// Log keeps streams and buckets in memory. It is safe for concurrent use.
type Log struct {
	maxPayload int
	closed     chan struct{}
	closeOnce  sync.Once

	mu        sync.Mutex
	streams   map[string]*stream
	buckets   map[string]*bucket
	listeners map[*listener]struct{}
}

var _ events.Log = (*Log)(nil)

// New is an empty log.
func New(c Config) *Log {
	if c.MaxPayload <= 0 {
		c.MaxPayload = 1 << 20
	}
	return &Log{
		maxPayload: c.MaxPayload, closed: make(chan struct{}),
		streams: map[string]*stream{}, buckets: map[string]*bucket{}, listeners: map[*listener]struct{}{},
	}
}

// Close implements [events.Log].
func (l *Log) Close() { l.closeOnce.Do(func() { close(l.closed) }) }

// check is the error of a call that must not go on.
func (l *Log) check(ctx context.Context) error {
	select {
	case <-l.closed:
		return events.ErrClosed
	default:
		return ctx.Err()
	}
}

// Stream implements [events.Log].
func (l *Log) Stream(ctx context.Context, c events.StreamConfig) (events.Stream, error) {
	if err := l.check(ctx); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", c.Name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[c.Name]
	if s == nil {
		if len(c.Subjects) == 0 {
			return nil, fmt.Errorf("open stream %s: %w", c.Name, events.ErrNotFound)
		}
		s = newStream(l, c)
		l.streams[c.Name] = s
	}
	if len(c.Subjects) > 0 {
		s.configure(c)
	}
	return s, nil
}

// Bucket implements [events.Log].
func (l *Log) Bucket(ctx context.Context, name string) (events.Bucket, error) {
	if err := l.check(ctx); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[name]
	if b == nil {
		b = &bucket{log: l, name: name, objects: map[string][]byte{}}
		l.buckets[name] = b
	}
	return b, nil
}

type bucket struct {
	log  *Log
	name string

	mu      sync.Mutex
	objects map[string][]byte
}

func (b *bucket) Put(ctx context.Context, name string, data []byte) error {
	if err := b.log.check(ctx); err != nil {
		return fmt.Errorf("put %s into %s: %w", name, b.name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[name] = slices.Clone(data)
	return nil
}

func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	err := b.log.check(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.objects[name]
	if err == nil && !ok {
		err = events.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get %s from %s: %w", name, b.name, err)
	}
	return slices.Clone(data), nil
}

func (b *bucket) List(ctx context.Context) ([]string, error) {
	if err := b.log.check(ctx); err != nil {
		return nil, fmt.Errorf("list %s: %w", b.name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, 0, len(b.objects))
	for name := range b.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (b *bucket) Delete(ctx context.Context, name string) error {
	if err := b.log.check(ctx); err != nil {
		return fmt.Errorf("delete %s from %s: %w", name, b.name, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, name)
	return nil
}

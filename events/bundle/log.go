package bundle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// ErrReadOnly is returned by everything that would change a bundle.
var ErrReadOnly = errors.New("a bundle can only be read")

var _ events.Log = (*File)(nil)

// check is the error of a call that must not go on.
func (f *File) check(ctx context.Context) error {
	select {
	case <-f.closed:
		return events.ErrClosed
	default:
		return ctx.Err()
	}
}

// Stream implements [events.Log]. A stream that is not in the bundle is not found.
func (f *File) Stream(ctx context.Context, c events.StreamConfig) (events.Stream, error) {
	err := f.check(ctx)
	s := f.streams[c.Name]
	if err == nil && s == nil {
		err = events.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s of bundle %s: %w", c.Name, f.path, err)
	}
	return s, nil
}

// Bucket implements [events.Log].
func (f *File) Bucket(ctx context.Context, name string) (events.Bucket, error) {
	return &bucket{file: f, name: name}, f.check(ctx)
}

// Announce implements [events.Log].
func (f *File) Announce(context.Context, events.Message) error { return ErrReadOnly }

// Listen implements [events.Log].
func (f *File) Listen(context.Context, string) (events.Listener, error) { return nil, ErrReadOnly }

// bucket is the checkpoints of a bundle.
type bucket struct {
	file *File
	name string
}

// Get implements [events.Bucket]. The encoding of the stored form is none.
func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	data, err := b.get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("get %s from %s of bundle %s: %w", name, b.name, b.file.path, err)
	}
	return append([]byte("\n"), data...), nil
}

func (b *bucket) get(ctx context.Context, name string) ([]byte, error) {
	if err := b.file.check(ctx); err != nil {
		return nil, err
	}
	for _, fr := range b.file.trailer.Frames {
		if fr.Bucket != b.name || fr.Name != name {
			continue
		}
		text, err := b.file.unpack(fr)
		if err != nil {
			return nil, err
		}
		l, err := parseLine(text)
		if err == nil && (l.kind != typeCheckpoint || l.bucket != b.name || l.name != name) {
			err = errNoLine
		}
		if err != nil {
			return nil, err
		}
		return l.data, nil
	}
	return nil, events.ErrNotFound
}

// List implements [events.Bucket].
func (b *bucket) List(ctx context.Context) ([]string, error) {
	names := []string{}
	for _, fr := range b.file.trailer.Frames {
		if fr.Bucket == b.name {
			names = append(names, fr.Name)
		}
	}
	slices.Sort(names)
	return names, b.file.check(ctx)
}

// Put implements [events.Bucket].
func (b *bucket) Put(context.Context, string, []byte) error { return ErrReadOnly }

// Delete implements [events.Bucket].
func (b *bucket) Delete(context.Context, string) error { return ErrReadOnly }

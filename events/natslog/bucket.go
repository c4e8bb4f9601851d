package natslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rutter-gateway/rutter/events"
)

// bucket is a JetStream object store. Its reads may come from a replica that is
// a little behind.
type bucket struct {
	log   *Log
	name  string
	store jetstream.ObjectStore
}

// Bucket implements [events.Log]. It has as many replicas as the largest stream.
func (l *Log) Bucket(ctx context.Context, name string) (events.Bucket, error) {
	store, err := l.js.ObjectStore(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		var replicas int
		if replicas, err = l.replicas(ctx); err == nil {
			store, err = l.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: name, Replicas: replicas})
		}
		if errors.Is(err, jetstream.ErrBucketExists) {
			store, err = l.js.ObjectStore(ctx, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, translate(err))
	}
	return &bucket{log: l, name: name, store: store}, nil
}

func (l *Log) replicas(ctx context.Context) (int, error) {
	replicas := 1
	streams := l.js.ListStreams(ctx)
	for info := range streams.Info() {
		replicas = max(replicas, info.Config.Replicas)
	}
	return replicas, streams.Err()
}

// Put implements [events.Bucket].
func (b *bucket) Put(ctx context.Context, name string, data []byte) error {
	err := b.log.room(len(data))
	if err == nil {
		_, err = b.store.PutBytes(ctx, name, data)
	}
	if err != nil {
		if lasting := refusal(err); lasting != nil {
			err = lasting
		}
		return fmt.Errorf("put %s into %s: %w", name, b.name, err)
	}
	return nil
}

// Get implements [events.Bucket]. A replica may not have yet what was just put,
// so "not found" is asked again for a moment.
func (b *bucket) Get(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	var err error
	for wait := 10 * time.Millisecond; wait < 200*time.Millisecond; wait *= 2 {
		data, err = b.store.GetBytes(ctx, name)
		if !errors.Is(err, jetstream.ErrObjectNotFound) || b.single() || !pause(ctx, wait) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("get %s from %s: %w", name, b.name, b.explain(err))
	}
	return data, nil
}

// single tells whether there is but one server, which is never behind.
func (b *bucket) single() bool { return b.log.conn.ConnectedClusterName() == "" }

func (b *bucket) explain(err error) error {
	if errors.Is(err, jetstream.ErrDigestMismatch) {
		return fmt.Errorf("%w: %w", events.ErrDamaged, err)
	}
	return translate(err)
}

// List implements [events.Bucket].
func (b *bucket) List(ctx context.Context) ([]string, error) {
	infos, err := b.store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", b.name, translate(err))
	}
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name
	}
	slices.Sort(names)
	return names, nil
}

// Delete implements [events.Bucket].
func (b *bucket) Delete(ctx context.Context, name string) error {
	if err := b.store.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("delete %s from %s: %w", name, b.name, translate(err))
	}
	return nil
}

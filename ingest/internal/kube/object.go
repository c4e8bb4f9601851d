package kube

import (
	"context"
	"fmt"
	"log/slog"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
	"github.com/rutter-gateway/rutter/ingest/internal/record"
	"github.com/rutter-gateway/rutter/internal/process"
)

// applied tells of an object that is in force, and of those that it is the first
// to refer to.
func (f *follower) applied(ctx context.Context, item runtime.Object) error {
	meta, err := metadataOf(item)
	if err != nil {
		return err
	}
	if f.fetched {
		return f.fetchedApplied(ctx, meta)
	}
	object, ok := item.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("the API server sent a %T of %s", item, f.resource)
	}
	o, err := observe(f.kind, object)
	if err != nil {
		return err
	}
	with, err := f.referred(ctx, o)
	if err != nil {
		return err
	}
	f.send(ctx, message{applied: &o, with: with})
	return nil
}

// fetchedApplied fetches an object of which only the metadata is known, if anybody
// wants it.
func (f *follower) fetchedApplied(ctx context.Context, meta metav1.Object) error {
	key := f.keyOf(meta)
	if !f.references.wanted(key) {
		f.dropped(f.resource, record.Unreferenced)
		return nil
	}
	if f.references.have(key, meta.GetResourceVersion()) {
		f.send(ctx, message{seen: &key})
		return nil
	}
	o, err := f.fetch(ctx, f.kind, key)
	if err != nil || o == nil { // its deletion is told of as well
		return err
	}
	f.define(o)
	f.send(ctx, message{applied: o})
	return nil
}

// referred fetches the objects that o is the first to refer to. They are wanted
// from before they are fetched, so that no change of them goes by unseen.
func (f *follower) referred(ctx context.Context, o observed.Object) ([]observed.Object, error) {
	keys, err := record.References(o)
	if err != nil {
		// What cannot be read refers to nothing; its status will say so.
		return nil, nil
	}
	fresh := f.references.want(keys...)
	var out []observed.Object
	for _, key := range fresh {
		k, followed := kindOf(key.Resource)
		if !followed {
			continue
		}
		to, err := f.fetch(ctx, k, key)
		switch {
		case isRefused(err):
			// Whoever wrote o may name what he likes: it holds up nothing else of its kind.
			generation, _, _ := unstructured.NestedInt64(o.Object, "metadata", "generation")
			f.logger.Warn("what an object refers to cannot be read", process.About(o.Key, generation, 0), slog.Any("error", err))
		case err != nil:
			f.references.forget(fresh...)
			return nil, fmt.Errorf("fetch %s, to which %s refers: %w", key, o.Key, err)
		case to != nil:
			out = append(out, *to)
		}
	}
	return out, nil
}

// fetch gets one object; nil where there is none.
func (f *follower) fetch(ctx context.Context, k kind, key events.Key) (*observed.Object, error) {
	object, err := f.client.get(ctx, k, k.recorded(), key)
	if err != nil || object == nil {
		return nil, err
	}
	o, err := observe(k, object)
	if err != nil {
		return nil, err
	}
	f.references.note(key, object.GetResourceVersion())
	return &o, nil
}

// deleted tells of an object that was seen to be deleted.
func (f *follower) deleted(ctx context.Context, item runtime.Object, listing bool) error {
	meta, err := metadataOf(item)
	if err != nil {
		return err
	}
	key := f.keyOf(meta)
	if isDefinition(key) {
		f.served.set(key.Name, "")
	}
	if f.fetched && !f.references.wanted(key) {
		f.dropped(f.resource, record.Unreferenced)
	} else {
		f.send(ctx, message{deleted: &observed.Deletion{Key: key, UID: string(meta.GetUID()), ResourceVersion: meta.GetResourceVersion()}})
	}
	if !listing {
		f.reach(meta.GetResourceVersion())
	}
	return nil
}

// define takes over what a definition says about which kinds are served.
func (f *follower) define(o *observed.Object) {
	if isDefinition(o.Key) {
		f.served.set(o.Key.Name, servedVersion(o.Object))
	}
}

func (f *follower) keyOf(meta metav1.Object) events.Key {
	return events.Key{Resource: f.resource, Namespace: meta.GetNamespace(), Name: meta.GetName()}
}

// Observed is an object that somebody else has got of the API server, in the form in
// which it is handed on; false where it is none that is recorded.
func Observed(resource schema.GroupResource, object *unstructured.Unstructured) (observed.Object, bool, error) {
	k, ok := kindOf(resource.Resource)
	if !ok || k.Group != resource.Group || k.resource == events.EndpointSlices {
		return observed.Object{}, false, nil
	}
	o, err := observe(k, object)
	if k.resource == events.CustomResourceDefinitions && !isDefinition(o.Key) {
		return observed.Object{}, false, nil
	}
	return o, err == nil, err
}

// observe is an object as it is handed on.
func observe(k kind, object *unstructured.Unstructured) (observed.Object, error) {
	object.SetGroupVersionKind(k.WithVersion(k.recorded()))
	out := observed.Object{
		Key:    events.Key{Resource: k.resource, Namespace: object.GetNamespace(), Name: object.GetName()},
		Object: normalize.Object(k.resource, object.Object),
	}
	var err error
	out.Hash, err = normalize.Hash(out.Object)
	return out, err
}

package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rutter-gateway/rutter/events"
)

const pageSize = 500

// list lists a kind, and goes on watching it. The API server streams the list as
// the beginning of a watch; where it cannot, it is fetched in pages.
func (f *follower) list(ctx context.Context, version string) error {
	initial := true
	w, err := f.client.watch(ctx, f.kind, version, metav1.ListOptions{
		SendInitialEvents: &initial, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		AllowWatchBookmarks: true, TimeoutSeconds: watchTime(),
	})
	switch {
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		if err := f.pages(ctx, version); err != nil {
			return err
		}
		return f.watch(ctx, version)
	case err != nil:
		return err
	}
	f.up(ctx)
	f.begin(ctx)
	return f.consume(ctx, w, true)
}

// pages fetches a list in pages. Only the whole of it is consistent.
func (f *follower) pages(ctx context.Context, version string) error {
	options := metav1.ListOptions{Limit: pageSize}
	for first := true; first || options.Continue != ""; first = false {
		part, err := f.client.list(ctx, f.kind, version, options)
		if err != nil {
			return fmt.Errorf("list %s: %w", f.resource, err)
		}
		if first {
			f.begin(ctx)
		}
		for _, item := range part.items {
			if err := f.applied(ctx, item); err != nil {
				return err
			}
		}
		options.Continue = part.next
		if part.next == "" {
			return f.listed(ctx, part.resourceVersion)
		}
	}
	return nil
}

func (f *follower) begin(ctx context.Context) {
	if f.resource == events.CustomResourceDefinitions {
		f.served.begin()
	}
	f.send(ctx, message{began: true})
}

// listed ends a list that is complete.
func (f *follower) listed(ctx context.Context, resourceVersion string) error {
	if resourceVersion == "" {
		return fmt.Errorf("list %s: the API server does not say of which state", f.resource)
	}
	if isBefore(resourceVersion, f.highest) {
		return fmt.Errorf("%w: %s are at %s, and were at %s", ErrBack, f.resource, resourceVersion, f.highest)
	}
	f.reach(resourceVersion)
	if f.resource == events.CustomResourceDefinitions {
		f.served.complete()
	}
	f.send(ctx, message{listed: true, resourceVersion: resourceVersion})
	return nil
}

// consume takes what a watch tells, until it ends. While listing, the objects are
// those of the list, up to a bookmark that says that it is complete.
func (f *follower) consume(ctx context.Context, w watch.Interface, listing bool) error {
	defer w.Stop()
	for {
		var event watch.Event
		var ok bool
		select {
		case event, ok = <-w.ResultChan():
		case <-f.relist:
			return errRelist
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case !ok && listing:
			return errors.New("the list broke off")
		case !ok:
			return nil
		}
		if err := f.event(ctx, event, &listing); err != nil {
			return err
		}
	}
}

func (f *follower) event(ctx context.Context, event watch.Event, listing *bool) error {
	switch event.Type {
	case watch.Error:
		return apierrors.FromObject(event.Object)
	case watch.Bookmark:
		o, err := metadataOf(event.Object)
		if err != nil {
			return err
		}
		if *listing && o.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
			*listing = false
			return f.listed(ctx, o.GetResourceVersion())
		}
		if !*listing {
			f.reach(o.GetResourceVersion())
		}
		return nil
	case watch.Deleted:
		return f.deleted(ctx, event.Object, *listing)
	case watch.Added, watch.Modified:
		if err := f.applied(ctx, event.Object); err != nil {
			return err
		}
		o, err := metadataOf(event.Object)
		if err == nil && !*listing {
			f.reach(o.GetResourceVersion())
		}
		return err
	default:
		return fmt.Errorf("watch %s: unknown event %q", f.resource, event.Type)
	}
}

// reach notes up to where everything is known.
func (f *follower) reach(resourceVersion string) {
	f.last, f.highest = resourceVersion, resourceVersion
}

func metadataOf(o runtime.Object) (metav1.Object, error) {
	m, ok := o.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("the API server sent a %T where an object was expected", o)
	}
	return m, nil
}

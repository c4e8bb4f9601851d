package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/rutter-gateway/rutter/events"
)

// watchOf brings one resource into the cache. It implements [toolscache.ReflectorStore].
type watchOf struct {
	*Statuses
	resource string
}

// run lists and watches until ctx ends; errors are told and tried again.
func (w *watchOf) run(ctx context.Context) {
	list := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			out := &objectList{}
			err := w.clients.of(w.resource).Get().Resource(w.resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(out)
			return out, w.told(ctx, err)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			out, err := w.clients.of(w.resource).Get().Resource(w.resource).VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
			if options.SendInitialEvents != nil && apierrors.IsInvalid(err) {
				return out, err // an API server that cannot stream lists: the reflector lists
			}
			return out, w.told(ctx, err)
		},
	}
	quiet := logr.Discard() // what goes wrong is said by told
	toolscache.NewReflectorWithOptions(list, &object{}, w, toolscache.ReflectorOptions{
		Logger: &quiet, Name: w.resource,
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 10, Cap: 5 * time.Second},
	}).RunWithContext(klog.NewContext(ctx, quiet))
}

// told says that the resource cannot be read, or can again.
func (w *watchOf) told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	w.mu.Lock()
	before := w.refused[w.resource]
	w.refused[w.resource] = err
	w.mu.Unlock()
	if err != nil {
		w.metrics.unreadable.WithLabelValues(w.resource).Set(1)
		if before == nil || before.Error() != err.Error() {
			w.Logger.Warn("kind cannot be read; trying again", slog.String("resource", w.resource), slog.Any("error", err))
		}
		return err
	}
	w.metrics.unreadable.WithLabelValues(w.resource).Set(0)
	if before != nil {
		w.Logger.Info("kind can be read again", slog.String("resource", w.resource))
	}
	return nil
}

// Synced is nil once every kind is known, less those that this process may not
// read and those that are not installed: to wait for them would help nobody.
func (s *Statuses) Synced() error {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for resource := range kinds() {
		err := s.refused[resource]
		if !s.cache.listed[resource] && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
			return errors.Join(fmt.Errorf("%s are not listed yet", resource), err)
		}
	}
	return nil
}

func (w *watchOf) key(o *object) events.Key {
	return events.Key{Resource: w.resource, Namespace: o.Namespace, Name: o.Name}
}

// Add implements [toolscache.ReflectorStore].
func (w *watchOf) Add(item any) error {
	o, ok := item.(*object)
	if !ok {
		return fmt.Errorf("a %T is no object", item)
	}
	w.cache.observe(w.key(o), newEntry(o))
	return nil
}

// Update implements [toolscache.ReflectorStore].
func (w *watchOf) Update(item any) error { return w.Add(item) }

// Delete implements [toolscache.ReflectorStore].
func (w *watchOf) Delete(item any) error {
	o, ok := item.(*object)
	if !ok {
		return fmt.Errorf("a %T is no object", item)
	}
	w.cache.remove(w.key(o), o.ResourceVersion)
	return nil
}

// Replace implements [toolscache.ReflectorStore].
func (w *watchOf) Replace(items []any, _ string) error {
	all := make(map[events.Key]entry, len(items))
	for _, item := range items {
		o, ok := item.(*object)
		if !ok {
			return fmt.Errorf("a %T is no object", item)
		}
		all[w.key(o)] = newEntry(o)
	}
	w.cache.replace(w.resource, all)
	return nil
}

// Resync implements [toolscache.ReflectorStore].
func (w *watchOf) Resync() error { return nil }

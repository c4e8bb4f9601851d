package provisioner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// watch asks for a Gateway to be looked after whenever something that was built for
// it appears, changes or goes; and first of all for everything that is there, so
// that what no version asks for is taken away. Call stop when done.
func (s *Service) watch(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	stop = func() { cancel(); running.Wait() }
	var listed []cache.InformerSynced
	for kind, resource := range built() {
		k := newKind(s, resource)
		s.known[kind], listed = k, append(listed, k.listed.Load)
		running.Go(func() { k.run(ctx) })
	}
	// Nothing has to wait for these: what is done to a class is read for each.
	running.Go(func() { newKind(s, classes).run(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), listed...) {
		stop()
		return nil, errors.Join(errNotBuilt, context.Cause(ctx))
	}
	return stop, nil
}

// told says that a resource cannot be read for now, and when it can again. refused is
// what was told last.
func (s *Service) told(ctx context.Context, resource string, refused, err error) error {
	switch {
	case ctx.Err() != nil, errors.Is(err, io.EOF), apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return refused // the usual end of a watch
	case err == nil && refused != nil:
		s.Logger.Info("what is built can be read again", "resource", resource)
		s.hurry()
	case err != nil && (refused == nil || refused.Error() != err.Error()):
		s.Logger.Warn("what is built cannot be read; trying again", "resource", resource, "error", err)
	}
	if err != nil && errors.Is(s.Ready(), errNotBuilt) {
		s.setReady(fmt.Errorf("%w: %s: %w", errNotBuilt, resource, err))
	}
	return err
}

// hurry tries again at once what has failed, which may be for the same reason.
func (s *Service) hurry() {
	for _, gateway := range s.fleet.names() {
		if s.queue.NumRequeues(gateway) > 0 {
			s.queue.Forget(gateway)
			s.queue.Add(gateway)
		}
	}
}

// knownOf are the objects of a kind that were built for a Gateway.
func (s *Service) knownOf(kind string, gateway types.NamespacedName) (list []metav1.Object, err error) {
	err = cache.ListAllByNamespace(s.known[kind], gateway.Namespace, labels.Everything(), func(o any) {
		if meta, ok := o.(metav1.Object); ok && ownerOf(meta) == gateway {
			list = append(list, meta)
		}
	})
	return list, err
}

func (k *kind) noticed(o any) {
	if meta, ok := o.(metav1.Object); ok {
		if k.resource == classes {
			k.service.queue.Add(classNamed(meta.GetName()))
		} else if gateway := ownerOf(meta); gateway != (types.NamespacedName{}) {
			k.service.queue.Add(gateway)
		}
	}
}

func (k *kind) vanished(o any) {
	s := k.service
	if meta, ok := o.(metav1.Object); ok {
		if gateway := ownerOf(meta); gateway != (types.NamespacedName{}) {
			s.pauses.vanished(gateway, time.Now())
			s.queue.Add(gateway)
		}
	}
}

// onlyMeta keeps of an object what tells whose it is and whether it changed.
func onlyMeta(o any) any {
	meta, ok := o.(metav1.Object)
	if !ok {
		return o
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: meta.GetName(), Namespace: meta.GetNamespace(), UID: meta.GetUID(), ResourceVersion: meta.GetResourceVersion(), Generation: meta.GetGeneration(),
		Labels: meta.GetLabels(), Annotations: meta.GetAnnotations(), OwnerReferences: meta.GetOwnerReferences(), Finalizers: meta.GetFinalizers(),
	}}
}

// changed tells whether somebody changed what may be ours. The status of a
// Deployment changes often, and its generation does not.
func changed(before, after any) bool {
	a, ok1 := before.(metav1.Object)
	b, ok2 := after.(metav1.Object)
	switch {
	case !ok1 || !ok2 || a.GetUID() != b.GetUID():
		return true
	case a.GetGeneration() == 0: // as a Service has it
		return a.GetResourceVersion() != b.GetResourceVersion()
	}
	return a.GetGeneration() != b.GetGeneration() || !slices.Equal(a.GetFinalizers(), b.GetFinalizers()) || !labels.Equals(a.GetLabels(), b.GetLabels()) || !labels.Equals(a.GetAnnotations(), b.GetAnnotations())
}

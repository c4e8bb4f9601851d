package provisioner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// watch asks for a Gateway to be looked after whenever something that was built for
// it appears, changes or goes; and first of all for everything that is there, so
// that what no version asks for is taken away. Call stop when done.
func (s *Service) watch(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	stop = func() { cancel(); running.Wait() }
	var synced []cache.InformerSynced
	for kind, resource := range built() {
		informer, err := s.informer(resource)
		if err != nil {
			stop()
			return nil, fmt.Errorf("watch %s: %w", resource.Resource, err)
		}
		s.known[kind], synced = informer.GetIndexer(), append(synced, informer.HasSynced)
		// What goes wrong is said by unreadable.
		running.Go(func() { informer.RunWithContext(klog.NewContext(ctx, logr.Discard())) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		stop()
		return nil, errors.Join(errNotBuilt, context.Cause(ctx))
	}
	return stop, nil
}

func (s *Service) informer(resource schema.GroupVersionResource) (cache.SharedIndexInformer, error) {
	informer := dynamicinformer.NewFilteredDynamicInformer(s.Client, resource, metav1.NamespaceAll, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
		func(o *metav1.ListOptions) {
			o.LabelSelector = labels.Set{infra.ManagedByLabel: infra.ManagedBy}.String()
		},
	).Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: s.noticed,
		UpdateFunc: func(before, after any) {
			if changed(before, after) {
				s.noticed(after)
			}
		},
		DeleteFunc: func(o any) {
			if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			s.noticed(o)
		},
	})
	return informer, errors.Join(err, informer.SetTransform(onlyMeta),
		informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
			s.unreadable(ctx, resource.Resource, err)
		}))
}

// unreadable says that a resource cannot be read for now.
func (s *Service) unreadable(ctx context.Context, resource string, err error) {
	if ctx.Err() != nil || errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return // the usual end of a watch
	}
	s.Logger.Warn("what is built cannot be read; trying again", "resource", resource, "error", err)
	if errors.Is(s.Ready(), errNotBuilt) {
		s.setReady(fmt.Errorf("%w: %s: %w", errNotBuilt, resource, err))
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

func (s *Service) noticed(o any) {
	if meta, ok := o.(metav1.Object); ok {
		if gateway := ownerOf(meta); gateway != (types.NamespacedName{}) {
			s.queue.Add(gateway)
		}
	}
}

// onlyMeta keeps of an object what tells whose it is and whether it changed.
func onlyMeta(o any) (any, error) {
	meta, ok := o.(metav1.Object)
	if !ok {
		return o, nil
	}
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: meta.GetName(), Namespace: meta.GetNamespace(), UID: meta.GetUID(), ResourceVersion: meta.GetResourceVersion(), Generation: meta.GetGeneration(),
		Labels: meta.GetLabels(), Annotations: meta.GetAnnotations(), OwnerReferences: meta.GetOwnerReferences(),
	}}, nil
}

// changed tells whether somebody changed what may be ours. The status of a
// Deployment changes often, and its generation does not.
func changed(before, after any) bool {
	a, ok1 := before.(metav1.Object)
	b, ok2 := after.(metav1.Object)
	if !ok1 || !ok2 || a.GetGeneration() == 0 {
		return true
	}
	return a.GetGeneration() != b.GetGeneration() || !labels.Equals(a.GetLabels(), b.GetLabels()) || !labels.Equals(a.GetAnnotations(), b.GetAnnotations())
}

package provisioner

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// kind is what is built of one resource, or all GatewayClasses, as the API server has it. It implements
// [cache.ReflectorStore]. An informer would do the same, but waits for up to a minute
// before it looks again for an API server that was away.
type kind struct {
	cache.Indexer
	service  *Service
	resource schema.GroupVersionResource
	listed   atomic.Bool
}

func newKind(s *Service, resource schema.GroupVersionResource) *kind {
	return &kind{
		Indexer: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		service: s, resource: resource,
	}
}

// run lists and watches until ctx ends; what goes wrong is told and tried again.
func (k *kind) run(ctx context.Context) {
	client := k.service.Client.Resource(k.resource)
	selector := labels.Set{infra.ManagedByLabel: infra.ManagedBy}.String()
	if k.resource == classes {
		selector = ""
	}
	var refused error // one after the other calls these two
	told := func(err error) error {
		refused = k.service.told(ctx, k.resource.Resource, refused, err)
		return err
	}
	list := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			out, err := client.List(ctx, options)
			return out, told(err)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			out, err := client.Watch(ctx, options)
			return out, told(err)
		},
	}
	quiet := logr.Discard()
	cache.NewReflectorWithOptions(list, &unstructured.Unstructured{}, k, cache.ReflectorOptions{
		Logger: &quiet, Name: k.resource.Resource,
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 10, Cap: 5 * time.Second},
	}).RunWithContext(klog.NewContext(ctx, quiet))
}

// Add implements [cache.ReflectorStore].
func (k *kind) Add(o any) error { return k.Update(o) }

// Update implements [cache.ReflectorStore].
func (k *kind) Update(o any) error {
	o = onlyMeta(o)
	before, found, err := k.Get(o)
	if err != nil {
		return err
	}
	if err := k.Indexer.Update(o); err != nil {
		return err
	}
	if !found || changed(before, o) {
		k.noticed(o)
	}
	return nil
}

// Delete implements [cache.ReflectorStore].
func (k *kind) Delete(o any) error {
	if err := k.Indexer.Delete(o); err != nil {
		return err
	}
	k.vanished(o)
	return nil
}

// Replace implements [cache.ReflectorStore]. What a Gateway lacks is built, also where
// it was never seen: it can have been made and taken away while nothing was heard.
func (k *kind) Replace(list []any, version string) error {
	lacking := map[types.NamespacedName]bool{}
	if k.resource != classes {
		for _, gateway := range k.service.fleet.names() {
			lacking[gateway] = true
		}
	}
	var touched, gone []any
	for i, o := range list {
		list[i] = onlyMeta(o)
		before, found, err := k.Get(list[i])
		if err != nil {
			return err
		}
		if !found || changed(before, list[i]) {
			touched = append(touched, list[i])
		}
		if meta, ok := list[i].(metav1.Object); ok {
			delete(lacking, ownerOf(meta))
		}
	}
	before := k.List()
	if err := k.Indexer.Replace(list, version); err != nil {
		return err
	}
	for _, o := range before {
		if _, found, _ := k.Get(o); !found {
			gone = append(gone, o)
		}
	}
	k.listed.Store(true)
	for _, o := range touched {
		k.noticed(o)
	}
	for _, o := range gone {
		k.vanished(o)
	}
	for gateway := range lacking {
		k.service.queue.Add(gateway)
	}
	return nil
}

// Resync implements [cache.ReflectorStore].
func (k *kind) Resync() error { return nil }

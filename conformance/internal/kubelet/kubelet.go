package kubelet

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// Kubelet runs pods.
type Kubelet struct {
	cfg        Config
	pods       cache.SharedIndexInformer
	services   corelisters.ServiceLister
	configMaps corelisters.ConfigMapLister
	secrets    corelisters.SecretLister

	mu      sync.Mutex
	workers map[types.UID]*worker
	binding map[types.UID]struct{}
	running sync.WaitGroup
	// ctx ends when Run does; event handlers start work that must not outlive it. It is
	// set by Run before there are any.
	ctx context.Context //nolint:containedctx // handlers of informers are given none
}

// New registers with the informers, which the caller then starts.
func New(cfg Config) (*Kubelet, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("kubelet: %w", err)
	}
	core := cfg.Informers.Core().V1()
	kubelet := &Kubelet{
		cfg:        cfg,
		pods:       core.Pods().Informer(),
		services:   core.Services().Lister(),
		configMaps: core.ConfigMaps().Lister(),
		secrets:    core.Secrets().Lister(),
		workers:    make(map[types.UID]*worker),
		binding:    make(map[types.UID]struct{}),
	}
	return kubelet, nil
}

// Run registers the node and runs pods until ctx ends. Then all containers are killed.
func (k *Kubelet) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer k.running.Wait()
	defer cancel()
	k.ctx = ctx
	if err := k.register(ctx); err != nil {
		return fmt.Errorf("kubelet: register the node: %w", err)
	}
	server, err := newServer(k)
	if err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	k.running.Go(func() { server.run(ctx) })
	core := k.cfg.Informers.Core().V1()
	handlers := []struct {
		informer cache.SharedIndexInformer
		changed  func(object any)
		deleted  func(object any)
	}{
		{k.pods, k.podChanged, k.podDeleted},
		{core.ConfigMaps().Informer(), k.sourceChanged, func(any) {}},
		{core.Secrets().Informer(), k.sourceChanged, func(any) {}},
	}
	for _, handler := range handlers {
		registration, err := handler.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    handler.changed,
			UpdateFunc: func(_, object any) { handler.changed(object) },
			DeleteFunc: handler.deleted,
		})
		if err != nil {
			return fmt.Errorf("kubelet: %w", err)
		}
		defer func() { _ = handler.informer.RemoveEventHandler(registration) }() // the informer ends with ctx as well
	}
	<-ctx.Done()
	return nil
}

func (k *Kubelet) podChanged(object any) {
	pod := object.(*corev1.Pod)
	switch {
	case k.ctx.Err() != nil:
	case pod.Spec.NodeName == "":
		k.bind(pod)
	case pod.Spec.NodeName == k.cfg.NodeName:
		k.worker(pod).update(pod)
	}
}

func (k *Kubelet) podDeleted(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	pod := object.(*corev1.Pod)
	k.mu.Lock()
	worker := k.workers[pod.UID]
	k.mu.Unlock()
	if worker != nil {
		worker.remove()
	}
}

// sourceChanged tells the pods that mount a ConfigMap or Secret that it changed.
func (k *Kubelet) sourceChanged(object any) {
	changed := sourceOf(object)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, worker := range k.workers {
		if worker.uses(changed) {
			worker.poke()
		}
	}
}

// worker returns the worker of a pod, which is started if need be.
func (k *Kubelet) worker(pod *corev1.Pod) *worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	if existing, found := k.workers[pod.UID]; found {
		return existing
	}
	made := newWorker(k, pod)
	k.workers[pod.UID] = made
	k.running.Go(func() {
		made.run(k.ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.workers, pod.UID)
	})
	return made
}

// bind assigns a pod to the node, unless something is to happen to it first.
func (k *Kubelet) bind(pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, underway := k.binding[pod.UID]; underway {
		return
	}
	k.binding[pod.UID] = struct{}{}
	k.running.Go(func() {
		defer func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			delete(k.binding, pod.UID)
		}()
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: k.cfg.NodeName},
		}
		for {
			err := k.cfg.Client.CoreV1().Pods(pod.Namespace).Bind(k.ctx, binding, metav1.CreateOptions{})
			if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				return // bound, deleted meanwhile, or bound by somebody else
			}
			if !pause(k.ctx, retryWait) {
				return
			}
			k.cfg.Logger.Warn("pod not bound", "namespace", pod.Namespace, "name", pod.Name, "error", err)
		}
	})
}

// pause waits, and returns false when ctx ended before.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

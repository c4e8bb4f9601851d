package kubelet

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// runContainers runs the pod: init containers one after the other, then all others
// side by side. It returns when every one has ended for good.
func (w *worker) runContainers(ctx context.Context) {
	pod, _ := w.current()
	var sidecars sync.WaitGroup
	mainEnded := make(chan struct{})
	defer sidecars.Wait()
	defer func() {
		w.end(gracePeriod(pod)) // for the sidecars, if the pod ended by itself
		close(mainEnded)
	}()
	for i := range pod.Spec.InitContainers {
		spec := &pod.Spec.InitContainers[i]
		init := w.newContainer(pod, spec)
		if isSidecar(spec) {
			// Sidecars outlive the main containers, which may need them to the end.
			init.ending = mainEnded
			sidecars.Go(func() { init.run(ctx) })
			if !w.awaitStarted(spec.Name) {
				return
			}
			continue
		}
		if init.run(ctx); !w.hasSucceeded(spec.Name) {
			return
		}
	}
	var running sync.WaitGroup
	for i := range pod.Spec.Containers {
		container := w.newContainer(pod, &pod.Spec.Containers[i])
		running.Go(func() { container.run(ctx) })
	}
	running.Wait()
}

func (w *worker) newContainer(pod *corev1.Pod, spec *corev1.Container) *container {
	made := &container{
		worker: w, pod: pod, spec: spec, policy: pod.Spec.RestartPolicy,
		ending: w.ending, states: w.states,
		logger: w.kubelet.cfg.Logger.With("namespace", pod.Namespace, "name", pod.Name, "resource", spec.Name),
	}
	isInit := slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == spec.Name })
	switch {
	case isSidecar(spec):
		made.policy = corev1.RestartPolicyAlways
	case isInit && made.policy == corev1.RestartPolicyAlways:
		made.policy = corev1.RestartPolicyOnFailure // once it has succeeded it is not needed again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.containers = append(w.containers, made)
	return made
}

// isSidecar tells whether an init container goes on running beside the others.
func isSidecar(spec *corev1.Container) bool {
	return spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func (w *worker) hasSucceeded(name string) bool {
	how := w.states.get(name).state.Terminated
	return how != nil && how.ExitCode == 0
}

// awaitStarted waits until a container has started, and returns false when the pod is
// to end before.
func (w *worker) awaitStarted(name string) bool {
	for !w.states.get(name).started {
		if !w.pause(20 * time.Millisecond) {
			return false
		}
	}
	return true
}

package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/podnet"
)

// worker runs one pod, from the moment it is bound until it is gone.
//
//	run      takes what the API says of the pod, and says in the API what became of it
//	live     prepares the pod, starts its containers, returns when all have ended
type worker struct {
	kubelet *Kubelet
	sources map[source]struct{}
	wake    chan struct{} // has a value when the pod changed, or was removed
	stale   chan struct{} // has a value when what it mounts changed

	mu      sync.Mutex
	pod     *corev1.Pod // as the API has it
	removed bool        // the API has it no longer

	// Of what becomes of it:
	network    *podnet.Namespace
	problem    string // why it is not prepared
	containers []*container
	states     *states
	volumes    *volumes

	// ending is closed when the containers are to end; killing when they are to end at
	// once.
	ending, killing chan struct{}
	deadline        time.Time // valid once ending is closed
}

func newWorker(kubelet *Kubelet, pod *corev1.Pod) *worker {
	return &worker{
		kubelet: kubelet,
		sources: sources(pod),
		wake:    make(chan struct{}, 1),
		stale:   make(chan struct{}, 1),
		pod:     pod,
		states:  newStates(),
		ending:  make(chan struct{}),
		killing: make(chan struct{}),
	}
}

// update tells the worker what the API says of its pod now.
func (w *worker) update(pod *corev1.Pod) {
	w.mu.Lock()
	if newer(pod.ResourceVersion, w.pod.ResourceVersion) {
		w.pod = pod
	}
	w.mu.Unlock()
	signal(w.wake)
	signal(w.stale) // labels and annotations may be mounted
}

// remove tells the worker that the API no longer has its pod.
func (w *worker) remove() {
	w.mu.Lock()
	w.removed = true
	w.mu.Unlock()
	signal(w.wake)
}

// poke tells the worker that something changed that its pod mounts.
func (w *worker) poke() { signal(w.stale) }

func (w *worker) uses(s source) bool {
	_, uses := w.sources[s]
	return uses
}

// signal gives a channel a value, unless it has one.
func signal(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

func (w *worker) current() (pod *corev1.Pod, removed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod, w.removed
}

// isPrepared tells whether the pod has its network and volumes.
func (w *worker) isPrepared() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.volumes != nil
}

// run lives with the pod until it is gone from the API and from this machine.
func (w *worker) run(ctx context.Context) {
	pod, _ := w.current()
	logger := w.kubelet.cfg.Logger.With("namespace", pod.Namespace, "name", pod.Name)
	if isOver(pod) { // of an earlier run: nothing is left of it here
		w.awaitRemoval(ctx)
		return
	}
	stop := context.AfterFunc(ctx, func() { w.end(0); w.kill() })
	defer stop()
	var living sync.WaitGroup
	ended := make(chan struct{})
	living.Go(func() {
		defer close(ended)
		w.live(ctx)
	})
	defer living.Wait()
	ticker := time.NewTicker(time.Minute) // tokens grow old
	defer ticker.Stop()
	for over := false; !over; {
		select {
		case <-w.wake:
		case <-ticker.C:
			w.poke()
		case <-w.states.changed:
		case <-ended:
			over = true
		}
		w.heed()
		if err := w.publish(ctx); err != nil && ctx.Err() == nil {
			logger.Warn("status of pod not written", "error", err)
			if !over {
				time.AfterFunc(retryWait, func() { signal(w.wake) })
			}
		}
	}
	if err := w.clear(); err != nil {
		logger.Warn("something is left of a pod", "error", err)
	}
	w.finish(ctx)
}

// heed acts on what the API says of the pod.
func (w *worker) heed() {
	pod, removed := w.current()
	switch {
	case removed:
		w.end(0)
		w.kill()
	case pod.DeletionTimestamp != nil:
		w.end(gracePeriod(pod))
		if pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0 {
			w.kill()
		}
	}
}

// gracePeriod is how long a pod may take to end.
func gracePeriod(pod *corev1.Pod) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.DeletionGracePeriodSeconds != nil {
		seconds = *pod.DeletionGracePeriodSeconds
	}
	return time.Duration(seconds) * time.Second
}

// end asks the containers to end within a time. Asking again may shorten it.
func (w *worker) end(grace time.Duration) {
	deadline := time.Now().Add(grace)
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.ending:
		if deadline.Before(w.deadline) {
			w.deadline = deadline
		}
	default:
		w.deadline = deadline
		close(w.ending)
	}
}

func (w *worker) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.killing:
	default:
		close(w.killing)
	}
}

// live is the life of the pod on this machine.
func (w *worker) live(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var refreshing sync.WaitGroup
	defer refreshing.Wait()
	defer cancel()
	for {
		err := w.prepare(ctx)
		w.mu.Lock()
		w.problem = ""
		if err != nil {
			w.problem = err.Error()
		}
		w.mu.Unlock()
		w.states.touch()
		if err == nil {
			break
		}
		if !w.pause(retryWait) {
			return
		}
	}
	refreshing.Go(func() { w.keepFresh(ctx) })
	w.runContainers(ctx)
}

// pause waits, and returns false when the pod is to end.
func (w *worker) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.ending:
		return false
	case <-timer.C:
		return true
	}
}

// prepare gives the pod its network and volumes. What was done stays done when it is
// called again.
func (w *worker) prepare(ctx context.Context) error {
	pod, _ := w.current()
	if pod.Spec.HostNetwork {
		return fmt.Errorf("the network of the host is not for pods")
	}
	if w.network == nil {
		network, err := w.kubelet.cfg.Network.Add()
		if err != nil {
			return fmt.Errorf("network: %w", err)
		}
		w.mu.Lock()
		w.network = network
		w.mu.Unlock()
		if err := network.Do(func() error { return setSysctls(pod) }); err != nil {
			return err
		}
	}
	v := &volumes{
		environment: environment{kubelet: w.kubelet, pod: pod, address: w.network.IP.String()},
		dir:         filepath.Join(w.kubelet.cfg.State, "pods", string(pod.UID)),
		claims:      filepath.Join(w.kubelet.cfg.State, "claims"),
		tokens:      make(map[string]token),
	}
	if err := v.prepare(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.volumes = v
	return nil
}

// keepFresh brings the volumes up to date whenever something that they show changed.
func (w *worker) keepFresh(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.stale:
		}
		w.mu.Lock()
		w.volumes.pod = w.pod
		pod := w.pod
		w.mu.Unlock()
		if err := w.volumes.refresh(ctx); err != nil && ctx.Err() == nil {
			w.kubelet.cfg.Logger.Info("volumes stay as they are", "namespace", pod.Namespace, "name", pod.Name, "error", err)
		}
	}
}

// finish takes the pod out of the API, if it is to be deleted, and waits until it is.
func (w *worker) finish(ctx context.Context) {
	for {
		pod, removed := w.current()
		if removed || ctx.Err() != nil {
			return
		}
		if pod.DeletionTimestamp == nil { // it has ended by itself, and may be looked at
			w.awaitWake(ctx)
			continue
		}
		zero := int64(0)
		err := w.kubelet.cfg.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &zero, Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			w.awaitRemoval(ctx)
			return
		}
		if !pause(ctx, retryWait) {
			return
		}
	}
}

func (w *worker) awaitRemoval(ctx context.Context) {
	for {
		pod, removed := w.current()
		if removed || ctx.Err() != nil {
			return
		}
		if isOver(pod) && pod.DeletionTimestamp != nil && len(pod.Finalizers) == 0 {
			zero := int64(0)
			_ = w.kubelet.cfg.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
				GracePeriodSeconds: &zero, Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
			}) // gone already, or asked again when it changes
		}
		w.awaitWake(ctx)
	}
}

func (w *worker) awaitWake(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-w.wake:
	}
}

// clear removes what the pod had on this machine, but for its logs.
func (w *worker) clear() error {
	if w.network != nil {
		if err := w.network.Close(); err != nil {
			return err
		}
	}
	pod, _ := w.current()
	return os.RemoveAll(filepath.Join(w.kubelet.cfg.State, "pods", string(pod.UID)))
}

// isOver tells whether all containers of a pod have ended for good.
func isOver(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

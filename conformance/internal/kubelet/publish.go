package kubelet

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// publish writes the status of the pod, unless it is written already. A conflict means
// that a newer pod is on its way here, which publishes anew; it is not waited for at
// the end, when nothing may come any more.
func (w *worker) publish(ctx context.Context) error {
	pod, removed := w.current()
	if removed {
		return nil
	}
	pods := w.kubelet.cfg.Client.CoreV1().Pods(pod.Namespace)
	for {
		wanted := pod.DeepCopy()
		wanted.Status = statusOf(pod, w.facts())
		if equality.Semantic.DeepEqual(pod.Status, wanted.Status) {
			return nil
		}
		written, err := pods.UpdateStatus(ctx, wanted, metav1.UpdateOptions{})
		switch {
		case err == nil:
			w.learn(written.ResourceVersion, func() { w.pod = written })
			return nil
		case apierrors.IsNotFound(err):
			return nil
		case !apierrors.IsConflict(err):
			return err
		}
		uid := pod.UID
		if pod, err = pods.Get(ctx, pod.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if pod.UID != uid { // another one of the same name
			return nil
		}
	}
}

// learn takes over a pod that the API server answered with, unless a newer one was
// seen meanwhile.
func (w *worker) learn(version string, takeOver func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if newer(version, w.pod.ResourceVersion) {
		takeOver()
	}
}

// newer compares resource versions, which are decimal numbers of any length.
func newer(a, b string) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

func (w *worker) facts() facts {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := facts{
		now: metav1.Now().Rfc3339Copy(), node: w.kubelet.cfg.Network.Node().String(),
		problem: w.problem, prepared: w.volumes != nil, observed: w.states.get,
	}
	if w.network != nil {
		f.ip = w.network.IP.String()
	}
	return f
}

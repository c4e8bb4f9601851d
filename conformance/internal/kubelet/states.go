package kubelet

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// observation is what is known of a container.
type observation struct {
	state, last corev1.ContainerState
	restarts    int32
	started     bool // running, and past its startup probe
	ready       bool
}

// states are the observations of a pod's containers: each container writes its own,
// the worker reads all.
type states struct {
	changed chan struct{} // has a value after a change

	mu sync.Mutex
	of map[string]observation
}

func newStates() *states {
	return &states{changed: make(chan struct{}, 1), of: make(map[string]observation)}
}

// change changes what is known of a container.
func (s *states) change(name string, change func(*observation)) {
	s.mu.Lock()
	value := s.of[name]
	change(&value)
	s.of[name] = value
	s.mu.Unlock()
	s.touch()
}

// touch says that there is something new.
func (s *states) touch() { signal(s.changed) }

func (s *states) get(name string) observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[name]
}

// waiting, running and terminated are the three things that a container can do.

func (s *states) waiting(name, reason, message string) {
	s.change(name, func(o *observation) {
		o.ready, o.started = false, false
		o.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

func (s *states) running(name string, since metav1.Time, restarts int32) {
	s.change(name, func(o *observation) {
		o.restarts = restarts
		o.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}}
	})
}

func (s *states) terminated(name string, how corev1.ContainerStateTerminated) {
	s.change(name, func(o *observation) {
		o.ready, o.started = false, false
		o.state = corev1.ContainerState{Terminated: &how}
	})
}

// again says that a container that has terminated waits for its next start.
func (s *states) again(name, reason, message string) {
	s.change(name, func(o *observation) {
		o.last = o.state
		o.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

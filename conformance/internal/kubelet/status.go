package kubelet

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// facts are what a pod's status is made from, besides the pod.
type facts struct {
	now      metav1.Time
	node, ip string
	problem  string
	prepared bool
	observed func(container string) observation
}

// statusOf says what became of a pod. It keeps what others have written: conditions of
// types that are not the kubelet's.
func statusOf(pod *corev1.Pod, f facts) corev1.PodStatus {
	status := *pod.Status.DeepCopy()
	status.ObservedGeneration = pod.Generation
	status.HostIP, status.HostIPs = f.node, []corev1.HostIP{{IP: f.node}}
	if f.ip != "" {
		status.PodIP, status.PodIPs = f.ip, []corev1.PodIP{{IP: f.ip}}
	}
	if status.StartTime == nil {
		status.StartTime = &f.now
	}
	status.QOSClass = qosOf(&status)
	status.InitContainerStatuses = containerStatuses(pod, pod.Spec.InitContainers, f)
	status.ContainerStatuses = containerStatuses(pod, pod.Spec.Containers, f)
	status.Phase = phaseOf(pod, status.InitContainerStatuses, status.ContainerStatuses)

	initialized := allInitialized(pod, status.InitContainerStatuses)
	containersReady := initialized && !slices.ContainsFunc(status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return !s.Ready })
	set := func(kind corev1.PodConditionType, is bool, reason, message string) {
		setCondition(&status, pod.Generation, f.now, kind, is, reason, message)
	}
	set(corev1.PodReadyToStartContainers, f.prepared, "", "")
	set(corev1.PodInitialized, initialized, "ContainersNotInitialized", f.problem)
	notReady := "ContainersNotReady"
	if status.Phase == corev1.PodSucceeded {
		notReady = "PodCompleted"
	}
	set(corev1.ContainersReady, containersReady, notReady, f.problem)
	switch {
	case !containersReady:
		set(corev1.PodReady, false, notReady, f.problem)
	case !gatesOpen(pod):
		set(corev1.PodReady, false, "ReadinessGatesNotReady", "")
	default:
		set(corev1.PodReady, true, "", "")
	}
	return status
}

func qosOf(status *corev1.PodStatus) corev1.PodQOSClass {
	if status.QOSClass == "" {
		return corev1.PodQOSBurstable
	}
	return status.QOSClass // set by the API server, and never changed
}

// containerID names a container as a runtime would.
func containerID(pod *corev1.Pod, container string) string {
	return "process://" + string(pod.UID) + "/" + container
}

func containerStatuses(pod *corev1.Pod, containers []corev1.Container, f facts) []corev1.ContainerStatus {
	var statuses []corev1.ContainerStatus
	for i := range containers {
		container := &containers[i]
		observed := f.observed(container.Name)
		state := observed.state
		if state == (corev1.ContainerState{}) {
			state.Waiting = &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
			if !f.prepared {
				state.Waiting.Reason, state.Waiting.Message = "ContainerCreating", f.problem
			}
		}
		started, id := observed.started, ""
		if state.Running != nil || state.Terminated != nil {
			id = containerID(pod, container.Name)
		}
		statuses = append(statuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: container.Image, ContainerID: id,
			State: state, LastTerminationState: observed.last,
			RestartCount: observed.restarts, Ready: observed.ready, Started: &started,
		})
	}
	return statuses
}

// phaseOf is how far a pod is.
func phaseOf(pod *corev1.Pod, inits, containers []corev1.ContainerStatus) corev1.PodPhase {
	for i := range inits {
		if how := inits[i].State.Terminated; how != nil && how.ExitCode != 0 && pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
			return corev1.PodFailed
		}
	}
	if !allInitialized(pod, inits) {
		return corev1.PodPending
	}
	var waiting, running, succeeded, failed int
	for i := range containers {
		switch state := containers[i].State; {
		case state.Running != nil:
			running++
		case state.Terminated != nil && state.Terminated.ExitCode == 0:
			succeeded++
		case state.Terminated != nil:
			failed++
		case containers[i].LastTerminationState.Terminated != nil:
			running++ // between two runs
		default:
			waiting++
		}
	}
	restarts := pod.Spec.RestartPolicy
	switch {
	case waiting > 0:
		return corev1.PodPending
	case running > 0, restarts == corev1.RestartPolicyAlways && pod.DeletionTimestamp == nil, restarts == corev1.RestartPolicyOnFailure && failed > 0 && pod.DeletionTimestamp == nil:
		return corev1.PodRunning
	case failed > 0:
		return corev1.PodFailed
	default:
		return corev1.PodSucceeded
	}
}

// allInitialized tells whether the main containers may run.
func allInitialized(pod *corev1.Pod, inits []corev1.ContainerStatus) bool {
	for i := range inits {
		if isSidecar(&pod.Spec.InitContainers[i]) {
			if !isTrue(inits[i].Started) {
				return false
			}
			continue
		}
		if how := inits[i].State.Terminated; how == nil || how.ExitCode != 0 {
			return false
		}
	}
	return true
}

// gatesOpen tells whether all that a pod waits for from others is true.
func gatesOpen(pod *corev1.Pod) bool {
	for _, gate := range pod.Spec.ReadinessGates {
		if !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		}) {
			return false
		}
	}
	return true
}

func setCondition(status *corev1.PodStatus, generation int64, now metav1.Time, kind corev1.PodConditionType, is bool, reason, message string) {
	wanted := corev1.PodCondition{
		Type: kind, Status: corev1.ConditionTrue, ObservedGeneration: generation, LastTransitionTime: now,
	}
	if !is {
		wanted.Status, wanted.Reason, wanted.Message = corev1.ConditionFalse, reason, message
	}
	for i := range status.Conditions {
		if existing := &status.Conditions[i]; existing.Type == kind {
			if existing.Status == wanted.Status {
				wanted.LastTransitionTime = existing.LastTransitionTime
			}
			*existing = wanted
			return
		}
	}
	status.Conditions = append(status.Conditions, wanted)
}

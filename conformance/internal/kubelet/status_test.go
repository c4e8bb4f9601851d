package kubelet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func running() observation {
	return observation{state: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, started: true, ready: true}
}

func ended(code int32) observation {
	return observation{state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
}

func TestPhase(t *testing.T) {
	always, onFailure, never := corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	between := observation{
		state: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}},
		last:  corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}},
	}
	for _, test := range []struct {
		name        string
		policy      corev1.RestartPolicy
		init        observation
		one, two    observation
		deleted     bool
		want        corev1.PodPhase
		initialized bool
	}{
		{"nothing has started", always, ended(0), observation{}, observation{}, false, corev1.PodPending, true},
		{"the init container runs", always, running(), observation{}, observation{}, false, corev1.PodPending, false},
		{"the init container failed for good", never, ended(1), observation{}, observation{}, false, corev1.PodFailed, false},
		{"the init container is tried again", always, ended(1), observation{}, observation{}, false, corev1.PodPending, false},
		{"one has started", always, ended(0), running(), observation{}, false, corev1.PodPending, true},
		{"both run", always, ended(0), running(), running(), false, corev1.PodRunning, true},
		{"one is between two runs", always, ended(0), running(), between, false, corev1.PodRunning, true},
		{"both are between two runs", always, ended(0), between, between, false, corev1.PodRunning, true},
		{"one has succeeded", never, ended(0), running(), ended(0), false, corev1.PodRunning, true},
		{"both have succeeded", never, ended(0), ended(0), ended(0), false, corev1.PodSucceeded, true},
		{"one has failed for good", never, ended(0), ended(0), ended(3), false, corev1.PodFailed, true},
		{"one has failed and is tried again", onFailure, ended(0), ended(0), ended(3), false, corev1.PodRunning, true},
		{"both have ended, but are started again", always, ended(0), ended(0), ended(0), false, corev1.PodRunning, true},
		{"both were ended", always, ended(0), ended(0), ended(0), true, corev1.PodSucceeded, true},
		{"one was killed", always, ended(0), ended(0), ended(137), true, corev1.PodFailed, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{
				RestartPolicy:  test.policy,
				InitContainers: []corev1.Container{{Name: "init"}},
				Containers:     []corev1.Container{{Name: "one"}, {Name: "two"}},
			}}
			if test.deleted {
				pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			}
			observed := map[string]observation{"init": test.init, "one": test.one, "two": test.two}
			status := statusOf(pod, facts{prepared: true, observed: func(name string) observation { return observed[name] }})
			if status.Phase != test.want {
				t.Errorf("phase is %s, want %s", status.Phase, test.want)
			}
			if got := conditionOf(status, corev1.PodInitialized).Status == corev1.ConditionTrue; got != test.initialized {
				t.Errorf("initialized is %v", got)
			}
		})
	}
}

func TestReadinessIsThatOfAllContainersAndGates(t *testing.T) {
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{
			Containers:     []corev1.Container{{Name: "one"}},
			ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}},
		},
	}
	pod.Generation = 4
	begin := metav1.Unix(100, 0)
	observed := running()
	status := func(now metav1.Time) corev1.PodStatus {
		return statusOf(pod, facts{now: now, prepared: true, observed: func(string) observation { return observed }})
	}
	pod.Status = status(begin)
	if got := conditionOf(pod.Status, corev1.PodReady); got.Status != corev1.ConditionFalse || got.Reason != "ReadinessGatesNotReady" {
		t.Errorf("behind a closed gate: %+v", got)
	}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: "example.com/gate", Status: corev1.ConditionTrue})
	pod.Status = status(metav1.Unix(200, 0))
	if got := conditionOf(pod.Status, corev1.PodReady); got.Status != corev1.ConditionTrue || got.LastTransitionTime.Unix() != 200 || got.ObservedGeneration != 4 {
		t.Errorf("behind an open gate: %+v", got)
	}
	if got := conditionOf(pod.Status, corev1.ContainersReady); got.LastTransitionTime.Unix() != 100 {
		t.Errorf("a condition that did not turn has a new time: %+v", got)
	}
	if got := conditionOf(pod.Status, "example.com/gate"); got.Status != corev1.ConditionTrue {
		t.Errorf("the condition of somebody else: %+v", got)
	}
	observed.ready = false
	pod.Status = status(metav1.Unix(300, 0))
	if got := conditionOf(pod.Status, corev1.PodReady); got.Status != corev1.ConditionFalse || got.LastTransitionTime.Unix() != 300 {
		t.Errorf("not ready: %+v", got)
	}
}

func conditionOf(status corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
	for _, condition := range status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return corev1.PodCondition{}
}

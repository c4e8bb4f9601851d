package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestAPodSeesWhatItWasGiven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.configMap("settings", map[string]string{"colour": "blue", "long": "x"})
	r.secret("keys", map[string]string{"tls.key": "private", "other": "y"})
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	pod := r.run(r.pod("seer", func(pod *corev1.Pod, container *corev1.Container) {
		pod.Labels["colour"] = "green"
		pod.Spec.Volumes = []corev1.Volume{
			{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: "keys", Items: []corev1.KeyToPath{{Key: "tls.key", Path: "below/key"}},
			}}},
			{Name: "downward", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
				Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}},
			}}},
		}
		container.VolumeMounts = []corev1.VolumeMount{
			{Name: "keys", MountPath: "/keys"},
			{Name: "keys", MountPath: "/one/key", SubPath: "below/key"},
			{Name: "downward", MountPath: "/downward"},
		}
		container.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("100Mi")}
		container.EnvFrom = []corev1.EnvFromSource{{Prefix: "S_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
		container.Env = []corev1.EnvVar{
			{Name: "NAME", ValueFrom: field("metadata.name")},
			{Name: "LABEL", ValueFrom: field("metadata.labels['colour']")},
			{Name: "IP", ValueFrom: field("status.podIP")},
			{Name: "EXPANDED", Value: "$(NAME)/$(S_colour) $(UNKNOWN) $$(NAME)"},
			{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{
				Resource: "limits.memory", Divisor: resource.MustParse("1Mi"),
			}}},
			{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Key: "tls.key",
			}}},
		}
		container.Args = append(container.Args, "8080", "$(NAME)")
	}))
	r.awaitServing(pod)
	for name, want := range map[string]string{
		"NAME": "seer", "LABEL": "green", "IP": pod.Status.PodIP, "EXPANDED": "seer/blue $(UNKNOWN) $(NAME)",
		"MEMORY": "100", "KEY": "private", "KUBERNETES_SERVICE_HOST": "10.96.0.1", "S_long": "x",
	} {
		r.equal(name, r.ask(pod, "/env", "name", name), want)
	}
	r.equal("arguments", r.ask(pod, "/args"), "serve 8080 seer")
	r.equal("hostname", r.ask(pod, "/hostname"), "seer")
	r.equal("a mounted key", r.ask(pod, "/file", "path", "/keys/below/key"), "private")
	r.equal("a key at a subPath", r.ask(pod, "/file", "path", "/one/key"), "private")
	if labels := r.ask(pod, "/file", "path", "/downward/labels"); !strings.Contains(labels, `colour="green"`) {
		t.Errorf("labels are %q", labels)
	}
	const account = "/var/run/secrets/kubernetes.io/serviceaccount/"
	r.equal("namespace", r.ask(pod, "/file", "path", account+"namespace"), r.namespace)
	if token := r.ask(pod, "/file", "path", account+"token"); strings.Count(token, ".") != 2 {
		t.Errorf("token is %q", token)
	}
	if ca := r.ask(pod, "/file", "path", account+"ca.crt"); !strings.Contains(ca, "BEGIN CERTIFICATE") {
		t.Errorf("ca.crt is %q", ca)
	}
}

func TestAPodWaitsForWhatItMountsAndFollowsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(r.pod("follower", func(pod *corev1.Pod, container *corev1.Container) {
		pod.Spec.Volumes = []corev1.Volume{{Name: "keys", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "late"}}}}
		container.VolumeMounts = []corev1.VolumeMount{{Name: "keys", MountPath: "/keys"}}
	}))
	r.eventually("the reason for waiting", func() error {
		statuses := r.get("follower").Status.ContainerStatuses
		if len(statuses) == 1 && statuses[0].State.Waiting != nil && strings.Contains(statuses[0].State.Waiting.Message, "late") {
			return nil
		}
		return fmt.Errorf("statuses are %v", statuses)
	})
	secret := r.secret("late", map[string]string{"a": "1", "b": "1"})
	pod := r.awaitReady("follower")
	r.awaitServing(pod)
	r.equal("the file", r.ask(pod, "/file", "path", "/keys/a"), "1")
	secret.Data = map[string][]byte{"a": []byte("2")}
	if _, err := r.CoreV1().Secrets(r.namespace).Update(r.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.eventually("the change in the file", func() error {
		if got := r.ask(pod, "/file", "path", "/keys/a"); got != "2" {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
	if _, err := tryAsk(pod, "/file", "path", "/keys/b"); err == nil {
		t.Error("a key that is gone is still a file")
	}
}

func TestAPodIsConfinedAsItAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	uid, gid, group, yes, no := int64(1000), int64(1001), int64(1002), true, false
	pod := r.pod("confined", func(pod *corev1.Pod, container *corev1.Container) {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{
			RunAsUser: &uid, RunAsGroup: &gid, FSGroup: &group, RunAsNonRoot: &yes,
			Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
		}
		container.SecurityContext = &corev1.SecurityContext{
			ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		container.Args = []string{"serve", "80"}
		pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		container.VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
		container.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(80)}}}
	})
	pod = r.run(pod)
	address := pod.Status.PodIP + ":80" // which a user can listen on only by that sysctl
	id, err := fetch(address, "/id", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.equal("id", id, "1000 1001 [1002]")
	if _, err := fetch(address, "/write", map[string][]string{"path": {"/tmp/x"}}); err == nil {
		t.Error("the root can be written to")
	}
	if _, err := fetch(address, "/write", map[string][]string{"path": {"/scratch/x"}}); err != nil {
		t.Errorf("the volume of its group cannot be written to: %v", err)
	}
}

func TestRootIsRefusedWhereItIsForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	yes := true
	r.create(r.pod("root", func(_ *corev1.Pod, container *corev1.Container) {
		container.SecurityContext = &corev1.SecurityContext{RunAsNonRoot: &yes}
	}))
	r.eventually("the refusal", func() error {
		statuses := r.get("root").Status.ContainerStatuses
		if len(statuses) == 1 && statuses[0].State.Waiting != nil && strings.Contains(statuses[0].State.Waiting.Message, "runAsNonRoot") {
			return nil
		}
		return fmt.Errorf("statuses are %v", statuses)
	})
}

func TestInitContainersRunOneAfterTheOtherBeforeTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pod := r.run(r.pod("initialized", func(pod *corev1.Pod, container *corev1.Container) {
		mounts := []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
		pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		container.VolumeMounts = mounts
		always := corev1.ContainerRestartPolicyAlways
		pod.Spec.InitContainers = []corev1.Container{
			{Name: "first", Image: "tester", Command: []string{"tester", "touch", "/scratch/first"}, VolumeMounts: mounts},
			{Name: "sidecar", Image: "tester", Command: []string{"tester", "serve", "9090"}, RestartPolicy: &always, VolumeMounts: mounts},
		}
	}))
	r.awaitServing(pod)
	r.equal("what the first one left", r.ask(pod, "/file", "path", "/scratch/first"), "touched")
	r.eventually("the sidecar", func() error {
		got, err := fetch(pod.Status.PodIP+":9090", "/args", nil)
		if err == nil && got != "serve 9090" {
			err = fmt.Errorf("it says %q", got)
		}
		return err
	})
	how := pod.Status.InitContainerStatuses[0].State.Terminated
	if how == nil || how.ExitCode != 0 {
		t.Errorf("the first one is %v", pod.Status.InitContainerStatuses[0].State)
	}
}

func TestProbesDecideOnTrafficAndRestarts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	get := func(path string) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}}
	}
	pod := r.run(r.pod("probed", func(_ *corev1.Pod, container *corev1.Container) {
		container.Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
		container.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}, PeriodSeconds: 1, FailureThreshold: 30}
		container.ReadinessProbe = &corev1.Probe{ProbeHandler: get("/ready"), PeriodSeconds: 1, FailureThreshold: 1}
		container.LivenessProbe = &corev1.Probe{ProbeHandler: get("/healthy"), PeriodSeconds: 1, FailureThreshold: 2}
	}))
	r.ask(pod, "/ready/off")
	r.eventually("not ready", func() error {
		if isReady(r.get("probed")) == nil {
			return errors.New("it is ready")
		}
		return nil
	})
	r.ask(pod, "/ready/on")
	r.awaitReady("probed")
	r.ask(pod, "/healthy/off")
	r.eventually("restarted and ready", func() error {
		pod := r.get("probed")
		if got := pod.Status.ContainerStatuses[0].RestartCount; got != 1 {
			return fmt.Errorf("%d restarts", got)
		}
		return isReady(pod)
	})
}

func TestAPodEndsInTheOrderThatItWasPromised(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	grace := int64(20)
	pod := r.run(r.pod("graceful", func(pod *corev1.Pod, container *corev1.Container) {
		pod.Finalizers = []string{"example.com/look-at-it"}
		pod.Spec.TerminationGracePeriodSeconds = &grace
		pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		container.VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
		container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"tester", "touch", "/scratch/hook"}}}}
	}))
	r.awaitServing(pod)
	r.delete("graceful", nil)
	r.eventually("ended", func() error {
		how := r.get("graceful").Status.ContainerStatuses[0].State.Terminated
		if how == nil || how.ExitCode != 0 {
			return fmt.Errorf("it is %v", how)
		}
		return nil
	})
	if logs := r.logs("graceful", &corev1.PodLogOptions{}); !strings.Contains(logs, "the hook has run: true") {
		t.Errorf("logs are %q", logs)
	}
	if _, err := r.CoreV1().Pods(r.namespace).Patch(r.Context(), "graceful", "application/merge-patch+json",
		[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	r.awaitGone("graceful")
}

func TestAStubbornPodIsKilledWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	grace, none := int64(1), int64(0)
	stubborn := func(_ *corev1.Pod, container *corev1.Container) {
		container.Env = []corev1.EnvVar{{Name: "STUBBORN", Value: "1"}}
	}
	r.awaitServing(r.run(r.pod("asked", stubborn)))
	r.awaitServing(r.run(r.pod("forced", stubborn)))
	r.delete("asked", &grace)
	r.awaitGone("asked")
	forced := r.get("forced")
	r.delete("forced", &none)
	r.awaitGone("forced")
	r.eventually("the process gone", func() error { return refused(forced.Status.PodIP + ":8080") })
}

func TestJobsEndAsTheirPodsDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for code, wanted := range map[string]batchv1.JobConditionType{"0": batchv1.JobComplete, "3": batchv1.JobFailed} {
		r.runJob("ends-with-"+code, wanted, corev1.Container{Name: "main", Image: "tester", Command: []string{"tester", "exit", code}})
	}
}

func TestAProgramThatNeedsLibrariesHasThem(t *testing.T) {
	t.Parallel()
	newRig(t).runJob("dynamic", batchv1.JobComplete, corev1.Container{Name: "main", Image: "dynamic"})
}

// runJob runs a Job and waits until it ends in the way that is wanted.
func (r *rig) runJob(name string, wanted batchv1.JobConditionType, container corev1.Container) {
	r.Helper()
	none := int32(0)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace},
		Spec: batchv1.JobSpec{BackoffLimit: &none, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{container},
		}}},
	}
	if _, err := r.BatchV1().Jobs(r.namespace).Create(r.Context(), job, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
	r.eventually(name, func() error {
		job, err := r.BatchV1().Jobs(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range job.Status.Conditions {
			if condition.Type == wanted && condition.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("conditions are %v", job.Status.Conditions)
	})
}

func TestACrashingContainerIsStartedAgainEverMoreSlowly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(r.pod("crashing", func(_ *corev1.Pod, container *corev1.Container) { container.Args = []string{"exit", "5"} }))
	r.eventually("the third start", func() error {
		statuses := r.get("crashing").Status.ContainerStatuses
		if len(statuses) == 1 && statuses[0].RestartCount >= 2 && statuses[0].LastTerminationState.Terminated != nil &&
			statuses[0].LastTerminationState.Terminated.ExitCode == 5 {
			return nil
		}
		return fmt.Errorf("statuses are %v", statuses)
	})
	r.eventually("the log of the run before", func() error {
		logs, err := r.tryLogs("crashing", &corev1.PodLogOptions{Previous: true})
		if err == nil && logs != "ending with 5\n" {
			err = fmt.Errorf("it is %q", logs)
		}
		return err
	})
}

func TestAProgramThatIsKilledIsStartedAgainAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.awaitServing(r.run(r.pod("victim", nil)))
	for _, process := range shared.Processes() {
		if process.Namespace == r.namespace {
			if err := syscall.Kill(process.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.eventually("the second start", func() error {
		status := r.get("victim").Status.ContainerStatuses[0]
		if how := status.LastTerminationState.Terminated; how == nil || how.ExitCode != 137 || status.State.Running == nil {
			return fmt.Errorf("status is %v", status)
		}
		return nil
	})
}

func (r *rig) configMap(name string, data map[string]string) *corev1.ConfigMap {
	r.Helper()
	made, err := r.CoreV1().ConfigMaps(r.namespace).Create(r.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return made
}

func (r *rig) secret(name string, data map[string]string) *corev1.Secret {
	r.Helper()
	made, err := r.CoreV1().Secrets(r.namespace).Create(r.Context(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return made
}

func (r *rig) delete(name string, grace *int64) {
	r.Helper()
	if err := r.CoreV1().Pods(r.namespace).Delete(r.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: grace}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) awaitGone(name string) {
	r.Helper()
	r.eventually(name+" gone", func() error {
		_, err := r.CoreV1().Pods(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

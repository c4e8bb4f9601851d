package infra

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/rutter-gateway/rutter/events/routing"
)

const (
	// configAnnotation of a pod makes a new one when the bootstrap changes.
	configAnnotation = "rutter.dev/bootstrap-digest"
	// agentPort is the agent's, unless a listener has it.
	agentPort = 19001
	// nobody is the user of all containers.
	nobody = 65532
	// margin is how much longer than draining a pod may take to end.
	margin = 10 * time.Second
)

func (b *builder) deployment(configDigest string) *appsv1.Deployment {
	labels := b.meta().Labels
	annotations := map[string]string{
		"prometheus.io/scrape": "true", "prometheus.io/port": strconv.Itoa(int(b.agentPort())), "prometheus.io/path": "/metrics",
	}
	maps.Copy(annotations, b.in.Annotations)
	annotations[configAnnotation] = configDigest
	d := &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: b.meta(),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: selector(b.gateway, b.in)},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations}, Spec: b.pod()},
		},
	}
	if replicas := cmp.Or(b.in.Replicas, b.Replicas); replicas > 0 {
		d.Spec.Replicas = &replicas
	}
	return d
}

// agentPort is a port that no listener of the Gateway has.
func (b *builder) agentPort() int32 {
	port := int32(agentPort)
	for slices.ContainsFunc(b.in.Ports, func(p routing.InfrastructurePort) bool { return p.Port == port }) {
		port++
	}
	return port
}

func (b *builder) pod() corev1.PodSpec {
	yes, no := true, false
	user, grace := int64(nobody), int64((b.DrainMost + margin).Seconds())
	return corev1.PodSpec{
		ServiceAccountName: b.in.Name, AutomountServiceAccountToken: &no, EnableServiceLinks: &no, TerminationGracePeriodSeconds: &grace,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			// So that Envoy listens on the listener's own port.
			Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
		},
		Containers: []corev1.Container{b.envoy(), b.agent()},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: b.in.Name}}}},
			{Name: "xds", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: SecretName(b.in)}}},
			{Name: "run", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: selector(b.gateway, b.in)},
		}},
	}
}

func (b *builder) envoy() corev1.Container {
	args := []string{
		"--config-path", configDir + "/" + bootstrapFile, "--service-node", "$(POD_NAME)",
		"--disable-hot-restart", "--log-level", "warning",
		// Clients are asked to leave from the first moment of draining on.
		"--drain-strategy", "immediate", "--drain-time-s", strconv.Itoa(int(b.DrainMost.Seconds())),
	}
	if b.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(b.Concurrency))
	}
	agent := intstr.FromInt32(b.agentPort())
	c := corev1.Container{
		Name: "envoy", Image: b.EnvoyImage, ImagePullPolicy: b.PullPolicy, Command: []string{"envoy"}, Args: args,
		Env:       []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}}},
		Resources: resources(b.in.Resources),
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: agent}},
			PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 3,
		},
		// The agent drains, and answers when that is over.
		Lifecycle:       &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/drained", Port: agent}}},
		SecurityContext: restricted(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: configDir, ReadOnly: true}, {Name: "xds", MountPath: certificateDir, ReadOnly: true}, {Name: "run", MountPath: runDir},
		},
	}
	for _, p := range b.in.Ports {
		c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: p.Port, Protocol: corev1.Protocol(p.Protocol)})
	}
	return c
}

// resources are those of Envoy: the usual ones, unless the class says otherwise.
func resources(in *routing.Resources) corev1.ResourceRequirements {
	if in == nil {
		in = &routing.Resources{Requests: map[string]string{"cpu": "100m", "memory": "128Mi"}}
	}
	list := func(quantities map[string]string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for name, text := range quantities { //determinism: into a map
			if quantity, err := resource.ParseQuantity(text); err == nil { // it was one when it was published
				out[corev1.ResourceName(name)] = quantity
			}
		}
		return out
	}
	return corev1.ResourceRequirements{Requests: list(in.Requests), Limits: list(in.Limits)}
}

func (b *builder) agent() corev1.Container {
	return corev1.Container{
		Name: "agent", Image: b.RutterImage, ImagePullPolicy: b.PullPolicy, Command: []string{"rutter"},
		Args: []string{
			"envoy-agent", "--admin-socket", runDir + "/admin.sock", "--http-address", fmt.Sprintf(":%d", b.agentPort()),
			"--drain-least", b.DrainLeast.String(), "--drain-most", b.DrainMost.String(),
		},
		Ports: []corev1.ContainerPort{{Name: "agent", ContainerPort: b.agentPort(), Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
		}},
		SecurityContext: restricted(),
		VolumeMounts:    []corev1.VolumeMount{{Name: "run", MountPath: runDir}},
	}
}

// restricted is the restricted pod security standard, and a root that cannot be written.
func restricted() *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

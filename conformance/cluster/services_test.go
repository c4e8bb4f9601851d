package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/rutter-gateway/rutter/conformance/cluster"
)

func TestAServiceAnswersUnderAllItsAddresses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	service := r.service("web", func(spec *corev1.ServiceSpec) {
		spec.Type = corev1.ServiceTypeLoadBalancer
		spec.ExternalIPs = []string{"10.97.201.7"}
	})
	if err := refused(service.Spec.ClusterIP + ":80"); err != nil {
		t.Errorf("without endpoints: %v", err)
	}
	pod := r.run(r.pod("server", func(pod *corev1.Pod, container *corev1.Container) {
		readyWhenServing(pod, container)
		pod.Labels["app"] = "web"
	}))
	var balanced string
	r.eventually("an address of a load balancer", func() error {
		found, err := r.CoreV1().Services(r.namespace).Get(r.Context(), "web", metav1.GetOptions{})
		if err != nil || len(found.Status.LoadBalancer.Ingress) != 1 {
			return fmt.Errorf("it is %v: %w", found.Status, err)
		}
		balanced = found.Status.LoadBalancer.Ingress[0].IP
		return nil
	})
	for _, address := range []string{service.Spec.ClusterIP, balanced, "10.97.201.7"} {
		r.eventually(address, func() error {
			got, err := fetch(address+":80", "/hostname", nil)
			if err == nil && got != "server" {
				err = fmt.Errorf("%s answers", got)
			}
			return err
		})
	}
	// From inside, by name: a pod that is its own client.
	r.equal("the answer by name", r.ask(pod, "/get", "url", "http://web/hostname"), "server")
	r.equal("the answer by full name", r.ask(pod, "/get", "url", "http://web."+r.namespace+".svc.cluster.local./hostname"), "server")
	r.equal("the address of the name", r.ask(pod, "/resolve", "name", "web."+r.namespace), service.Spec.ClusterIP)
	r.equal("its port", r.ask(pod, "/port", "name", "web."+r.namespace+".svc.cluster.local", "port", "http"),
		"web."+r.namespace+".svc.cluster.local.80")
	if _, err := tryAsk(pod, "/resolve", "name", "nothing"); err == nil {
		t.Error("a name that does not exist has an address")
	}

	r.ask(pod, "/ready/off")
	r.eventually("refused while nothing is ready", func() error { return refused(balanced + ":80") })
	if err := r.CoreV1().Services(r.namespace).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestPortsOfTheControlPlaneAreFreeForServices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	service := r.service("busy", func(spec *corev1.ServiceSpec) {
		spec.Ports = nil
		for _, port := range []int32{53, 2379, 2380, 6443, 10250} {
			spec.Ports = append(spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("port-%d", port), Port: port, TargetPort: intstr.FromInt32(8080)})
		}
	})
	r.run(r.pod("busy", readyWhenServing))
	for _, port := range service.Spec.Ports {
		r.eventually(port.Name, func() error {
			_, err := fetch(fmt.Sprintf("%s:%d", service.Spec.ClusterIP, port.Port), "/hostname", nil)
			return err
		})
	}
}

func TestALoadBalancerGivesTheAddressThatWasAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ask := func(name, address string) {
		r.service(name, func(spec *corev1.ServiceSpec) {
			spec.Type, spec.LoadBalancerIP = corev1.ServiceTypeLoadBalancer, address
		})
	}
	ask("usable", cluster.UsableAddress.String())
	r.eventually("the address", func() error {
		found, err := r.CoreV1().Services(r.namespace).Get(r.Context(), "usable", metav1.GetOptions{})
		if err != nil || len(found.Status.LoadBalancer.Ingress) != 1 || found.Status.LoadBalancer.Ingress[0].IP != cluster.UsableAddress.String() {
			return fmt.Errorf("it is %v: %w", found.Status, err)
		}
		return nil
	})
}

func TestConnectionsAreSpreadOverAllEndpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	service := r.service("spread", nil)
	for _, name := range []string{"a", "b", "c"} {
		r.run(r.pod(name, func(pod *corev1.Pod, container *corev1.Container) {
			readyWhenServing(pod, container)
			pod.Labels["app"] = "spread"
		}))
	}
	r.eventually("answers of all three", func() error {
		seen := map[string]int{}
		for range 9 {
			name, err := fetch(service.Spec.ClusterIP+":80", "/hostname", nil)
			if err != nil {
				return err
			}
			seen[name]++
		}
		if seen["a"] != 3 || seen["b"] != 3 || seen["c"] != 3 {
			return fmt.Errorf("answers are %v", seen)
		}
		return nil
	})
}

func TestDatagramsGoThereAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	service := r.service("udp", func(spec *corev1.ServiceSpec) {
		spec.Ports = []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(8080)}}
	})
	r.run(r.pod("udp", func(_ *corev1.Pod, container *corev1.Container) {
		container.Image, container.Command, container.Args = "registry.example/gateway-api/echo-basic:v0.2.0", nil, nil
		container.Env = []corev1.EnvVar{{Name: "UDP_ECHO_SERVER", Value: "1"}, {Name: "POD_NAME", Value: "udp"}}
	}))
	r.eventually("an answer", func() error {
		connection, err := net.Dial("udp", service.Spec.ClusterIP+":53")
		if err != nil {
			return err
		}
		defer connection.Close()
		if _, err := connection.Write([]byte("hello")); err != nil {
			return err
		}
		if err := connection.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		buffer := make([]byte, 1024)
		n, err := connection.Read(buffer)
		if err != nil {
			return err
		}
		var answer struct{ Request, Pod string }
		if err := json.Unmarshal(buffer[:n], &answer); err != nil || answer.Request != "hello" || answer.Pod != "udp" {
			return fmt.Errorf("%s: %w", buffer[:n], err)
		}
		return nil
	})
}

func TestAStatefulSetHasNamesAndKeepsItsData(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.service("db", func(spec *corev1.ServiceSpec) { spec.ClusterIP = corev1.ClusterIPNone })
	replicas := int32(2)
	pod := r.pod("db", func(pod *corev1.Pod, container *corev1.Container) {
		readyWhenServing(pod, container)
		container.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	})
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: "db", Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
				},
			}},
		},
	}
	if _, err := r.AppsV1().StatefulSets(r.namespace).Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	first, second := r.awaitReady("db-0"), r.awaitReady("db-1")
	r.ask(first, "/write", "path", "/data/x", "content", "kept")
	r.eventually("the names", func() error {
		got, err := tryAsk(first, "/resolve", "name", "db-1.db."+r.namespace+".svc.cluster.local")
		if err == nil && got != second.Status.PodIP {
			err = fmt.Errorf("db-1 is %s", got)
		}
		return err
	})
	both := strings.Fields(r.ask(first, "/resolve", "name", "db"))
	want := []string{first.Status.PodIP, second.Status.PodIP}
	slices.Sort(both)
	slices.Sort(want)
	if !slices.Equal(both, want) {
		t.Errorf("db is %v, want %v", both, want)
	}
	if _, err := tryAsk(second, "/file", "path", "/data/x"); err == nil {
		t.Error("the second one has the data of the first")
	}
	claim, err := r.CoreV1().PersistentVolumeClaims(r.namespace).Get(t.Context(), "data-db-0", metav1.GetOptions{})
	if err != nil || claim.Status.Phase != corev1.ClaimBound {
		t.Errorf("the claim is %v, %v", claim.Status, err)
	}
	r.delete("db-0", nil)
	r.eventually("another db-0", func() error {
		again, err := r.CoreV1().Pods(r.namespace).Get(r.Context(), "db-0", metav1.GetOptions{})
		if err != nil || again.UID == first.UID {
			return fmt.Errorf("not yet: %w", err)
		}
		return isReady(again)
	})
	r.equal("the data", r.ask(r.get("db-0"), "/file", "path", "/data/x"), "kept")
}

func TestPodsOutliveTheAPIServer(t *testing.T) {
	r := newRig(t) // not beside others, which need the API server
	service := r.service("steady", nil)
	pod := r.run(r.pod("steady", readyWhenServing))
	r.awaitServing(pod)
	r.eventually("the service", func() error { _, err := fetch(service.Spec.ClusterIP+":80", "/hostname", nil); return err })
	if err := shared.ControlPlane.APIServer.Kill(); err != nil {
		t.Fatal(err)
	}
	if got, err := fetch(service.Spec.ClusterIP+":80", "/hostname", nil); err != nil || got != "steady" {
		t.Errorf("without the API server: %q, %v", got, err)
	}
	if err := shared.ControlPlane.APIServer.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.run(r.pod("later", readyWhenServing))
	if got := r.get("steady").Status.ContainerStatuses[0].RestartCount; got != 0 {
		t.Errorf("%d restarts", got)
	}
}

func readyWhenServing(_ *corev1.Pod, container *corev1.Container) {
	container.ReadinessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}},
		PeriodSeconds: 1, FailureThreshold: 1,
	}
}

// service makes a Service for the pods with its name as app.
func (r *rig) service(name string, change func(*corev1.ServiceSpec)) *corev1.Service {
	r.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	if change != nil {
		change(&service.Spec)
	}
	made, err := r.CoreV1().Services(r.namespace).Create(r.Context(), service, metav1.CreateOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return made
}

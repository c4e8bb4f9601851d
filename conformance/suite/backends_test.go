package suite

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/gateway-api/conformance"
	suitekubernetes "sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
	official "sigs.k8s.io/gateway-api/conformance/utils/suite"

	"github.com/rutter-gateway/rutter/conformance/internal/patience"
)

// TestBackends shows that the cluster is fit for the suite: everything of its base
// manifests but the Gateways becomes ready, and answers.
func TestBackends(t *testing.T) {
	started := startCluster(t)
	objects, err := client.New(started.Client, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	services := applyBase(t, objects)
	_, ca, key := suitekubernetes.MustCreateCACertConfigMap(t, official.InfrastructureNamespace, "ca")
	for _, where := range []struct{ namespace, name string }{
		{official.InfrastructureNamespace, "tls-checks-certificate"},
		{official.InfrastructureNamespace, "tls-passthrough-checks-certificate"},
		{official.AppBackendNamespace, "tls-passthrough-checks-certificate"},
	} {
		secret := suitekubernetes.MustCreateCASignedCertSecret(t, where.namespace, where.name, []string{"abc.example.com"}, ca, key)
		if err := objects.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	clients := kubernetes.NewForConfigOrDie(started.Client)
	patience.Await(t, "all Deployments", func() error { return allAvailable(t, clients) })
	t.Logf("all backends are ready after %.1f s", time.Since(begin).Seconds())
	for _, service := range services {
		for _, port := range service.Spec.Ports {
			if port.Port != 8080 || port.AppProtocol != nil || port.Protocol == corev1.ProtocolUDP {
				continue // another protocol than plain HTTP
			}
			patience.Await(t, service.Name, func() error { return answers(service, port.Port) })
		}
	}
}

// applyBase creates what is in the base manifests, and returns the Services of it.
func applyBase(t *testing.T, objects client.Client) []*corev1.Service {
	t.Helper()
	content, err := conformance.Manifests.ReadFile("base/manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var services []*corev1.Service
	for document := range bytes.SplitSeq(content, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		var object client.Object
		switch kind.Kind {
		case "Namespace":
			object = &corev1.Namespace{}
		case "Deployment":
			object = &appsv1.Deployment{}
		case "Service":
			service := &corev1.Service{}
			services = append(services, service)
			object = service
		case "Gateway", "": // nothing but a comment
			continue
		default:
			t.Fatalf("base manifests have a %s", kind.Kind)
		}
		if err := yaml.Unmarshal(document, object); err != nil {
			t.Fatal(err)
		}
		if err := objects.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return services
}

func allAvailable(t *testing.T, clients kubernetes.Interface) error {
	deployments, err := clients.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(deployments.Items) < 10 {
		return fmt.Errorf("there are %d Deployments", len(deployments.Items))
	}
	for _, deployment := range deployments.Items {
		if deployment.Status.AvailableReplicas != *deployment.Spec.Replicas {
			return fmt.Errorf("%s has %d of %d", deployment.Name, deployment.Status.AvailableReplicas, *deployment.Spec.Replicas)
		}
	}
	return nil
}

func answers(service *corev1.Service, port int32) error {
	response, err := http.Get(fmt.Sprintf("http://%s:%d/", service.Spec.ClusterIP, port))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers with %s", response.Status)
	}
	return nil
}

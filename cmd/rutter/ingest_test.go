package main

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// recipientFile holds a new public key.
func recipientFile(t testing.TB) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	name := filepath.Join(t.TempDir(), "recipient")
	must(t, os.WriteFile(name, []byte(identity.Recipient().String()+"\n"), 0o600))
	return name
}

// apply creates the objects of a text.
func apply(t *testing.T, api *rest.Config, text string) {
	t.Helper()
	client, err := dynamic.NewForConfig(api)
	must(t, err)
	for _, o := range gwtest.Objects(t, text) {
		object := &unstructured.Unstructured{Object: o}
		gvk := object.GroupVersionKind()
		resources := map[string]string{"GatewayClass": "gatewayclasses", "Gateway": "gateways", "HTTPRoute": "httproutes", "Service": "services"}
		namespace := object.GetNamespace()
		if namespace == "" && gvk.Kind != "GatewayClass" {
			namespace = metav1.NamespaceDefault
		}
		_, err := client.Resource(schema.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: resources[gvk.Kind]}).
			Namespace(namespace).Create(t.Context(), object, metav1.CreateOptions{})
		must(t, err)
	}
}

func TestIngestRecordsAClusterAndAnotherTakesOver(t *testing.T) {
	api := gwtest.Kubernetes(t)
	url := gwtest.NATS(t)
	flags := []string{"--cluster", "c", "--nats-url", url, "--kubeconfig", kubeconfig(t, api), "--recipient-file", recipientFile(t)}
	first := startService(t, append([]string{"ingest", "--name", "first"}, flags...)...)
	first.eventually("/readyz", 200, "ok")
	first.eventually("/metrics", 200, `rutter_ingest_synced{resource="httproutes"} 1`)
	second := startService(t, append([]string{"ingest", "--name", "second"}, flags...)...)
	second.eventually("/readyz", 200, "ok") // stands by
	first.eventually("/metrics", 200, `rutter_ingest_watching{resource="gateways"} 1`)

	apply(t, api, class+gatewayManifest("gw", 8080))
	first.eventually("/metrics", 200, `rutter_ingest_events_recorded_total{resource="gateways",type="object.applied"} 1`)
	first.stop()
	apply(t, api, gatewayManifest("other", 8081))
	second.eventually("/metrics", 200, `rutter_ingest_events_recorded_total{resource="gateways",type="object.applied"} 1`)
	second.eventually("/metrics", 200, `controller_reconcile_total{controller="ingest",result="success"}`)
}

func TestIngestRecordsADirectory(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(class+gatewayManifest("gw", 8080)), 0o600))
	s := startService(t, "ingest", "--source", dir, "--nats-url", gwtest.NATS(t), "--recipient-file", recipientFile(t))
	s.eventually("/readyz", 200, "ok")
	s.eventually("/metrics", 200, `rutter_ingest_events_recorded_total{resource="gateways",type="object.applied"} 1`)
}

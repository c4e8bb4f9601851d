package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// realWorld is a rig whose source is a real API server.
type realWorld struct {
	*world
	cluster *gwtest.Cluster
	client  dynamic.Interface
}

func newRealWorld(t testing.TB) *realWorld {
	t.Helper()
	cluster := gwtest.StartCluster(t)
	w := &realWorld{world: &world{rig: newRig(t)}, cluster: cluster}
	t.Cleanup(w.log.Close)
	w.config.Kubernetes = &Kubernetes{Config: cluster.Config}
	client, err := dynamic.NewForConfig(cluster.Config)
	must(t, err)
	w.client = client
	w.apply(`{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`)
	return w
}

// of is the client for the kind of an object.
func (w *realWorld) of(o *unstructured.Unstructured) dynamic.ResourceInterface {
	plural := strings.ToLower(o.GetKind()) + "s"
	if strings.HasSuffix(plural, "sss") {
		plural = strings.TrimSuffix(plural, "s") + "es"
	}
	gvr := o.GroupVersionKind().GroupVersion().WithResource(plural)
	return w.client.Resource(gvr).Namespace(o.GetNamespace())
}

// apply brings objects to what a text says, as the field manager "tester".
func (w *realWorld) apply(text string) {
	w.t.Helper()
	for _, o := range gwtest.Objects(w.t, text) {
		object := &unstructured.Unstructured{Object: o}
		w.until("the API server takes "+object.GetName(), func() bool {
			_, err := w.of(object).Apply(w.t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "tester", Force: true})
			if apierrors.IsInternalError(err) { // just after its start it has no addresses for Services yet
				return false
			}
			must(w.t, err)
			return true
		})
	}
}

func (w *realWorld) remove(gvr schema.GroupVersionResource, namespace, name string) {
	w.t.Helper()
	must(w.t, w.client.Resource(gvr).Namespace(namespace).Delete(w.t.Context(), name, metav1.DeleteOptions{}))
}

func gatewayResource(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
}

var definitionResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// own is what is recorded of the namespace shop, and of definitions.
func (w *realWorld) own(s events.Stream, from uint64) string {
	w.t.Helper()
	var list []events.Event
	for _, e := range w.read(s, from) {
		if e.Key.Namespace == "shop" {
			list = append(list, e)
		}
	}
	return story(list)
}

func (w *realWorld) awaitOwn(s events.Stream, from uint64, want string) {
	w.t.Helper()
	w.until(want, func() bool { return w.own(s, from) == want })
}

const realRoute = `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a, namespace: shop}, spec: {hostnames: [%s], rules: [{backendRefs: [{name: web, port: 80}]}]}}`

func TestARealClusterIsRecordedAsItIs(t *testing.T) {
	w := newRealWorld(t)
	w.apply(fmt.Sprintf(realRoute, "a.example") + "\n---\n" + service("web") +
		`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, namespace: shop}, addressType: IPv4, endpoints: [{addresses: [10.1.2.3]}]}`)
	stop := w.start()
	var recorded struct {
		Metadata struct {
			UID, ResourceVersion string
			Generation           int64
			ManagedFields        []map[string]any
		}
		Spec struct{ Rules []struct{ Matches []any } }
	}
	for _, e := range w.read(w.config.Events, 0) {
		if e.Key == routeKey("a") {
			must(t, json.Unmarshal(e.Data, &recorded))
		}
	}
	stored, err := w.client.Resource(gatewayResource(events.HTTPRoutes)).Namespace("shop").Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	m := recorded.Metadata
	if m.UID != string(stored.GetUID()) || m.ResourceVersion != stored.GetResourceVersion() || m.Generation != 1 {
		t.Errorf("recorded %+v of %s %s", m, stored.GetUID(), stored.GetResourceVersion())
	}
	if len(m.ManagedFields) != 1 || m.ManagedFields[0]["manager"] != "tester" || m.ManagedFields[0]["time"] == nil || m.ManagedFields[0]["fieldsV1"] != nil {
		t.Errorf("who wrote it is recorded as %v", m.ManagedFields)
	}
	if len(recorded.Spec.Rules) != 1 || len(recorded.Spec.Rules[0].Matches) != 1 {
		t.Errorf("defaults are not recorded: %+v", recorded.Spec)
	}
	w.awaitOwn(w.config.Endpoints, 0, "applied endpointslices/web-1")

	next := w.after(w.config.Events)
	status := stored.DeepCopy()
	must(t, unstructured.SetNestedSlice(status.Object, []any{}, "status", "parents"))
	_, err = w.client.Resource(gatewayResource(events.HTTPRoutes)).Namespace("shop").UpdateStatus(t.Context(), status, metav1.UpdateOptions{})
	must(t, err)
	w.apply(fmt.Sprintf(realRoute, "b.example"))
	w.awaitOwn(w.config.Events, next, "applied httproutes/a") // and nothing for the status
	w.remove(gatewayResource(events.HTTPRoutes), "shop", "a")
	w.awaitOwn(w.config.Events, next, "applied httproutes/a, deleted httproutes/a")

	// While nobody looked.
	stop()
	next = w.after(w.config.Events)
	w.apply(fmt.Sprintf(realRoute, "c.example"))
	w.remove(schema.GroupVersionResource{Version: "v1", Resource: events.Services}, "shop", "web")
	w.start()
	w.until("the difference is recorded", func() bool { // of two kinds, in any order
		got := w.own(w.config.Events, next)
		return got == "applied httproutes/a, deleted services/web" || got == "deleted services/web, applied httproutes/a"
	})
}

func TestASecretOfARealClusterIsRecordedWithItsFirstGateway(t *testing.T) {
	w := newRealWorld(t)
	cert, gateway, _ := strings.Cut(secret(t), "---\n")
	w.apply(cert)
	w.start()
	next := w.after(w.config.Events)
	w.apply(gateway)
	w.awaitOwn(w.config.Events, next, "applied secrets/cert, applied gateways/gw")
	renewed, _, _ := strings.Cut(secret(t), "---\n")
	w.apply(renewed)
	w.awaitOwn(w.config.Events, next, "applied secrets/cert, applied gateways/gw, applied secrets/cert")
	w.remove(schema.GroupVersionResource{Version: "v1", Resource: events.Secrets}, "shop", "cert")
	w.awaitOwn(w.config.Events, next, "applied secrets/cert, applied gateways/gw, applied secrets/cert, deleted secrets/cert")
}

func TestADefinitionOfARealClusterComesAndGoes(t *testing.T) {
	w := newRealWorld(t)
	const name = "referencegrants.gateway.networking.k8s.io"
	grant := `{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: shop}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: "", kind: Service}]}}`
	w.apply(grant)
	definition, err := w.client.Resource(definitionResource).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	w.start()
	next := w.after(w.config.Events)
	w.remove(definitionResource, "", name)
	w.until("it is said", func() bool { return strings.HasSuffix(w.listings(events.ReferenceGrants), "NotInstalled") })
	w.awaitOwn(w.config.Events, next, "deleted referencegrants/g")

	next = w.after(w.config.Events)
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"} {
		unstructured.RemoveNestedField(definition.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(definition.Object, "status")
	_, err = w.client.Resource(definitionResource).Create(t.Context(), definition, metav1.CreateOptions{})
	must(t, err)
	w.until("it is followed", func() bool { return strings.HasSuffix(w.listings(events.ReferenceGrants), "listed") })
	w.apply(grant)
	w.awaitOwn(w.config.Events, next, "applied referencegrants/g")
}

const role = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ingest}
rules:
- {apiGroups: [gateway.networking.k8s.io], resources: ["*"], verbs: [get, list, watch]}
- {apiGroups: [certificates.k8s.io], resources: [clustertrustbundles], verbs: [get, list, watch]}
- {apiGroups: [rutter.dev], resources: [rutterclasses, routingpins], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [%s], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ingest}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ingest}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ingest}]
`

func TestARealClusterThatForbidsAKindIsRecordedInTheRest(t *testing.T) {
	w := newRealWorld(t)
	w.apply(fmt.Sprintf(role, "services, secrets, configmaps, namespaces")) // all that operations.md asks for
	limited := rest.CopyConfig(w.cluster.Config)
	limited.Impersonate.UserName = "ingest"
	w.config.Kubernetes.Config = limited
	w.start()

	w.apply(fmt.Sprintf(role, "services, configmaps, namespaces"))
	w.cluster.Stop() // a watch that is open goes on although it would not be allowed any more
	w.cluster.Start()
	w.until("secrets are said to be forbidden", func() bool { return strings.HasSuffix(w.listings(events.Secrets), "Forbidden") })
	next := w.after(w.config.Events)
	w.apply(service("web"))
	w.awaitOwn(w.config.Events, next, "applied services/web")
	w.apply(fmt.Sprintf(role, "services, secrets, configmaps, namespaces"))
	w.until("secrets are read", func() bool { return strings.HasSuffix(w.listings(events.Secrets), "listed") })
}

func TestARealAPIServerMayBeRestarted(t *testing.T) {
	w := newRealWorld(t)
	w.start()
	next := w.after(w.config.Events)
	w.apply(service("before"))
	w.awaitOwn(w.config.Events, next, "applied services/before")
	w.cluster.Stop()
	w.cluster.Start()
	w.until("the API server is back", func() bool {
		_, err := w.client.Resource(gatewayResource(events.Gateways)).List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	w.apply(service("after"))
	w.awaitOwn(w.config.Events, next, "applied services/before, applied services/after")
}

func TestARealClusterThatWasRestoredIsANewEpoch(t *testing.T) {
	w := newRealWorld(t)
	w.apply(service("kept"))
	w.cluster.Backup()
	w.start()
	w.apply(service("lost"))
	w.awaitOwn(w.config.Events, 0, "applied services/kept, applied services/lost")
	next := w.after(w.config.Events)
	w.cluster.Restore()
	w.awaitOwn(w.config.Events, next, "deleted services/lost")
	if got := story(w.read(w.config.Events, next)); !strings.HasPrefix(got, "epoch.opened") {
		t.Errorf("recorded %s", got)
	}
}

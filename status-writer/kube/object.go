package kube

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// object is an object of any kind, without its spec. The status stays as the API
// server wrote it.
type object struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Status json.RawMessage `json:"status,omitempty"`
}

type objectList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []object `json:"items"`
}

// DeepCopyObject implements [runtime.Object].
func (o *object) DeepCopyObject() runtime.Object {
	return &object{TypeMeta: o.TypeMeta, ObjectMeta: *o.ObjectMeta.DeepCopy(), Status: bytes.Clone(o.Status)}
}

// DeepCopyObject implements [runtime.Object].
func (l *objectList) DeepCopyObject() runtime.Object {
	out := &objectList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy(), Items: make([]object, len(l.Items))}
	for i := range l.Items {
		o := &l.Items[i]
		out.Items[i] = object{TypeMeta: o.TypeMeta, ObjectMeta: *o.ObjectMeta.DeepCopy(), Status: bytes.Clone(o.Status)}
	}
	return out
}

// kinds are the objects that have a status of ours, by resource.
func kinds() map[string]string {
	return map[string]string{
		events.GatewayClasses: "GatewayClass", events.Gateways: "Gateway", events.ListenerSets: "ListenerSet",
		events.HTTPRoutes: "HTTPRoute", events.GRPCRoutes: "GRPCRoute",
		events.TLSRoutes: "TLSRoute", events.TCPRoutes: "TCPRoute", events.UDPRoutes: "UDPRoute",
		events.BackendTLSPolicies: "BackendTLSPolicy", events.RoutingPins: v1alpha1.KindPin,
	}
}

// groupVersion is in which version of which API group a resource is read and written.
func groupVersion(resource string) schema.GroupVersion {
	if resource == events.RoutingPins {
		return schema.GroupVersion{Group: v1alpha1.GroupName, Version: v1alpha1.Version}
	}
	return gatewayv1.SchemeGroupVersion
}

// shared tells whether a status has entries of several controllers: parents or ancestors.
func shared(resource string) bool {
	return resource != events.GatewayClasses && resource != events.Gateways && resource != events.ListenerSets && resource != events.RoutingPins
}

// clients speak of the kinds as objects, one for each API group.
type clients map[schema.GroupVersion]rest.Interface

func (c clients) of(resource string) rest.Interface { return c[groupVersion(resource)] }

// newClients makes clients that are not limited on this side: the API server has its own
// fairness, and tells when it has enough.
func newClients(config *rest.Config) (clients, error) {
	scheme := runtime.NewScheme()
	out := clients{}
	for resource, kind := range kinds() {
		version := groupVersion(resource)
		scheme.AddKnownTypeWithName(version.WithKind(kind), &object{})
		scheme.AddKnownTypeWithName(version.WithKind(kind+"List"), &objectList{})
		out[version] = nil
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for version := range out {
		metav1.AddToGroupVersion(scheme, version)
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = "/apis", &version
		c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
		c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		c.QPS = -1
		var err error
		if out[version], err = rest.RESTClientFor(c); err != nil {
			return nil, fmt.Errorf("make a client of the Kubernetes API: %w", err)
		}
	}
	return out, nil
}

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
		events.BackendTLSPolicies: "BackendTLSPolicy",
	}
}

// shared tells whether a status has entries of several controllers: parents or ancestors.
func shared(resource string) bool {
	return resource != events.GatewayClasses && resource != events.Gateways && resource != events.ListenerSets
}

// newClient speaks of the kinds as objects. It is not limited on this side: the
// API server has its own fairness, and tells when it has enough.
func newClient(config *rest.Config) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	for _, kind := range kinds() {
		scheme.AddKnownTypeWithName(gatewayv1.SchemeGroupVersion.WithKind(kind), &object{})
		scheme.AddKnownTypeWithName(gatewayv1.SchemeGroupVersion.WithKind(kind+"List"), &objectList{})
	}
	metav1.AddToGroupVersion(scheme, gatewayv1.SchemeGroupVersion)
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion = "/apis", &gatewayv1.SchemeGroupVersion
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.QPS = -1
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("make a client of the Kubernetes API: %w", err)
	}
	return client, nil
}

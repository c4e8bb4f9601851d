package ingest

import (
	"fmt"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/kube"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// Each kind is listed and watched, is followed again after its watch broke, and is looked
// for where a list lacks an object of it.
func TestTheRoleOfTheChartIsWhatIsAskedFor(t *testing.T) {
	const inNamespace = "{apiVersion: %s, kind: %s, metadata: {name: o, namespace: shop}, spec: {}}\n---\n"
	w := newWorld(t)
	var rights gwtest.Rights
	w.config.Kubernetes.Config = rights.Of(w.api.Config())
	for _, kind := range []string{"GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute", "ReferenceGrant", "ListenerSet"} {
		w.api.Apply(fmt.Sprintf(inNamespace, "gateway.networking.k8s.io/v1", kind))
	}
	w.api.Apply(fmt.Sprintf(inNamespace, "v1", "Service") + fmt.Sprintf(inNamespace, "discovery.k8s.io/v1", "EndpointSlice") +
		fmt.Sprintf(inNamespace, "rutter.dev/v1alpha1", "RoutingPin") + `
{apiVersion: v1, kind: Namespace, metadata: {name: o}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: o, namespace: shop}, data: {ca.crt: x}}
---
{apiVersion: v1, kind: Secret, metadata: {name: o, namespace: shop}, type: kubernetes.io/tls, data: {tls.crt: eA==, tls.key: eA==}}
---
{apiVersion: certificates.k8s.io/v1, kind: ClusterTrustBundle, metadata: {name: o}, spec: {trustBundle: x}}
---
{apiVersion: rutter.dev/v1alpha1, kind: RutterClass, metadata: {name: o}, spec: {}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: o}, spec: {controllerName: rutter.dev/gateway-controller}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: o, namespace: shop}, spec: {gatewayClassName: o, listeners: [{name: l, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: o}]}}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: o, namespace: shop}, spec: {validation: {hostname: h, caCertificateRefs: [{group: "", kind: ConfigMap, name: o}, {group: certificates.k8s.io, kind: ClusterTrustBundle, name: o}]}}}`)
	stop := w.start()
	recorded := func(resource string) bool {
		index, ok := w.newest(resource)
		return ok && index != events.ObjectDeleted
	}
	for _, resource := range kube.Resources() {
		w.until(resource+" is recorded", func() bool { return recorded(resource) })
	}
	w.api.Break()
	next := w.after(w.config.Events)
	w.api.Apply(route("after", "a.example"))
	w.await(w.config.Events, next, "applied httproutes/after")
	stop()
	for _, resource := range kube.Resources() {
		if resource != events.CustomResourceDefinitions {
			w.api.DeleteAll(resource)
		}
	}
	w.start()
	for _, resource := range kube.Resources() {
		if resource != events.CustomResourceDefinitions {
			w.until(resource+" is deleted", func() bool { return !recorded(resource) })
		}
	}
	rights.AreThoseOf(t, "ingest")
}

// newest is what was recorded last of an object of a resource.
func (w *world) newest(resource string) (kind events.Type, found bool) {
	w.t.Helper()
	stream := w.config.Events
	if resource == events.EndpointSlices {
		stream = w.config.Endpoints
	}
	for _, e := range w.read(stream, 0) {
		if e.Key.Resource == resource && !e.Key.IsSync() {
			kind, found = e.Type, true
		}
	}
	return kind, found
}

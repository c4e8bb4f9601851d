package kube

import (
	"cmp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// kind is a kind of object that is followed.
type kind struct {
	schema.GroupKind
	resource string
	// version is that in which objects are recorded; v1 where it is empty. Between the
	// versions of a kind nothing but the name differs (conversion strategy None).
	version string
	// custom kinds exist where a CustomResourceDefinition says so.
	custom bool
	// fetched kinds are watched by their metadata, and fetched where they are wanted.
	fetched bool
	// optional kinds may be missing without harm to routing.
	optional bool
}

func (k kind) recorded() string { return cmp.Or(k.version, "v1") }

func (k kind) gvr(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: version, Resource: k.resource}
}

// definition is the name of the CustomResourceDefinition of a custom kind.
func (k kind) definition() string { return k.resource + "." + k.Group }

func kinds() []kind {
	core := func(name, resource string) kind {
		return kind{GroupKind: schema.GroupKind{Kind: name}, resource: resource}
	}
	gateway := func(name, resource string) kind {
		return kind{GroupKind: schema.GroupKind{Group: gatewayv1.GroupName, Kind: name}, resource: resource, custom: true}
	}
	fetched := func(k kind) kind {
		k.fetched = true
		return k
	}
	return []kind{
		{
			GroupKind: schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"},
			resource:  events.CustomResourceDefinitions, fetched: true, optional: true,
		},
		gateway("GatewayClass", events.GatewayClasses),
		gateway("Gateway", events.Gateways),
		gateway("ListenerSet", events.ListenerSets),
		gateway("HTTPRoute", events.HTTPRoutes),
		gateway("GRPCRoute", events.GRPCRoutes),
		gateway("TLSRoute", events.TLSRoutes),
		gateway("TCPRoute", events.TCPRoutes),
		gateway("UDPRoute", events.UDPRoutes),
		gateway("ReferenceGrant", events.ReferenceGrants),
		gateway("BackendTLSPolicy", events.BackendTLSPolicies),
		{
			GroupKind: schema.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.Kind},
			resource:  events.RutterClasses, version: v1alpha1.Version, custom: true,
		},
		{
			GroupKind: schema.GroupKind{Group: v1alpha1.GroupName, Kind: v1alpha1.KindPin},
			resource:  events.RoutingPins, version: v1alpha1.Version, custom: true, optional: true,
		},
		core("Service", events.Services),
		fetched(core("Secret", events.Secrets)),
		fetched(core("ConfigMap", events.ConfigMaps)),
		{
			GroupKind: schema.GroupKind{Group: "certificates.k8s.io", Kind: "ClusterTrustBundle"},
			resource:  events.ClusterTrustBundles, fetched: true, optional: true,
		},
		core("Namespace", events.Namespaces),
		{GroupKind: schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}, resource: events.EndpointSlices},
	}
}

// Resources are those that are followed.
func Resources() []string {
	var out []string
	for _, k := range kinds() {
		out = append(out, k.resource)
	}
	return out
}

// Fetched are the resources of which only those objects are recorded that something
// refers to.
func Fetched() []string {
	var out []string
	for _, k := range kinds() {
		if k.fetched && k.resource != events.CustomResourceDefinitions {
			out = append(out, k.resource)
		}
	}
	return out
}

// kindOf is the kind of a resource; false where it is not followed.
func kindOf(resource string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.resource == resource })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// isDefinition tells whether a CustomResourceDefinition is one of the Gateway API or of
// Rutter.
func isDefinition(key events.Key) bool {
	return key.Resource == events.CustomResourceDefinitions &&
		(strings.HasSuffix(key.Name, "."+gatewayv1.GroupName) || strings.HasSuffix(key.Name, "."+v1alpha1.GroupName))
}

package events

import (
	"cmp"
	"fmt"
	"strings"
)

// Key names one object: its resource (lower-case plural, such as "httproutes"),
// its namespace ("" for cluster-scoped objects) and its name.
type Key struct {
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Resources that Rutter records, by their lower-case plural names. No two API
// groups that Rutter reads share one.
const (
	GatewayClasses  = "gatewayclasses"
	Gateways        = "gateways"
	ListenerSets    = "listenersets"
	HTTPRoutes      = "httproutes"
	GRPCRoutes      = "grpcroutes"
	TLSRoutes       = "tlsroutes"
	TCPRoutes       = "tcproutes"
	UDPRoutes       = "udproutes"
	ReferenceGrants = "referencegrants"
	Services        = "services"
	Secrets         = "secrets"
	ConfigMaps      = "configmaps"
	Namespaces      = "namespaces"
	EndpointSlices  = "endpointslices"
	// CustomResourceDefinitions of the Gateway API and of Rutter: what of them is installed.
	CustomResourceDefinitions = "customresourcedefinitions"

	BackendTLSPolicies  = "backendtlspolicies"
	ClusterTrustBundles = "clustertrustbundles"
	// RutterClasses are the parameters of GatewayClasses (rutter.dev).
	RutterClasses = "rutterclasses"
	// RoutingPins put a past version of the routing of a Gateway in force (rutter.dev).
	RoutingPins = "routingpins"
)

// String is the key as ce-subject and people write it:
// resource/namespace/name, with "-" for the namespace of a cluster-scoped object.
func (k Key) String() string {
	return k.Resource + "/" + orDash(k.Namespace) + "/" + k.Name
}

// ParseKey reads what [Key.String] writes.
func ParseKey(s string) (Key, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return Key{}, fmt.Errorf("object %q is not of the form resource/namespace/name", s)
	}
	return Key{Resource: parts[0], Namespace: fromDash(parts[1]), Name: parts[2]}, nil
}

// Compare orders keys by resource, namespace and name.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Resource, o.Resource),
		cmp.Compare(k.Namespace, o.Namespace),
		cmp.Compare(k.Name, o.Name),
	)
}

func orDash(namespace string) string {
	if namespace == "" {
		return "-"
	}
	return namespace
}

func fromDash(namespace string) string {
	if namespace == "-" {
		return ""
	}
	return namespace
}

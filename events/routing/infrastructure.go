package routing

import (
	"encoding/json"
	"fmt"
)

// Infrastructure is what an accepted Gateway needs around its Envoys, where
// Envoys are provisioned: from it alone the provisioner makes the objects.
type Infrastructure struct {
	// Name is that of the Deployment, the Service and whatever else is made for the
	// Gateway, in its namespace.
	Name string `json:"name"`
	// UID and Generation are those of the Gateway, which owns what is made.
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
	// Class is the GatewayClass of the Gateway.
	Class string `json:"class"`
	// Ports are those of all its listeners, sorted, each once.
	Ports []InfrastructurePort `json:"ports,omitempty"`
	// Labels and Annotations are for everything that is made (spec.infrastructure).
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Addresses are the IP addresses that the Gateway asks for (spec.addresses) and
	// that a Service can have, in the order of the spec.
	Addresses []string `json:"addresses,omitempty"`
	// ClusterAddresses are those of them that are to be the cluster's own for the Service.
	ClusterAddresses []string `json:"clusterAddresses,omitempty"`
	// Internal is set where the Service may have no address but those.
	Internal bool `json:"internal,omitempty"`
	// DualStack is set where Envoy listens on IPv6 and IPv4.
	DualStack bool `json:"dualStack,omitempty"`
	// What follows is from the parameters of the class, and empty where they say nothing.
	Replicas           int32             `json:"replicas,omitempty"`
	Resources          *Resources        `json:"resources,omitempty"`
	ServiceType        string            `json:"serviceType,omitempty"`
	ServiceAnnotations map[string]string `json:"serviceAnnotations,omitempty"`
	// MaxConnections of clients per Envoy.
	MaxConnections uint32 `json:"maxConnections,omitempty"`
}

// Resources are Kubernetes quantities by resource (such as "cpu"), of the container
// that runs Envoy.
type Resources struct {
	Requests map[string]string `json:"requests,omitempty"`
	Limits   map[string]string `json:"limits,omitempty"`
}

// InfrastructurePort is a port on which Envoy listens.
type InfrastructurePort struct {
	Port int32 `json:"port"`
	// Protocol is TCP or UDP.
	Protocol string `json:"protocol"`
}

// Member is what it contributes to the digest of its Gateway: nothing where there is none.
func (i *Infrastructure) Member() Digest {
	if i == nil {
		return Digest{}
	}
	data, err := json.Marshal(i)
	if err != nil {
		panic(fmt.Sprintf("routing: an infrastructure holds plain data only: %v", err))
	}
	return DigestOf([]byte("infrastructure"), data)
}

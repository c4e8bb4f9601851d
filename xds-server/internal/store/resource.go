package store

import (
	"cmp"
	"encoding/hex"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
)

// The Envoy resource types that are served.
const (
	ClusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	EndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	SecretType   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	ListenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	ScopeType    = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
	// ExtensionType is a filter of a listener, which it names (ECDS).
	ExtensionType = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
	RouteType     = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Resource is one resource as it is served. Immutable.
type Resource struct {
	Name   string
	Digest routing.Digest
	Body   []byte
	// Sealed is the private key of a secret; see [Keys].
	Sealed []byte
	Origin events.Key
	// LastGood is the body that was served under this name before, with its sealed
	// key, for the report of an Envoy that refuses this one; nil for none.
	LastGood, LastSealed []byte
	// Assignment is, for a cluster with endpoints by EDS, the name under which it
	// asks for them; otherwise empty.
	Assignment string
	// Secrets are those that a cluster names.
	Secrets []string
}

// Version is the xDS version of a resource: 64 bits of its digest in hex. It is
// only ever compared with another version of the same name, and an Envoy that
// reconnects sends all of them.
func (r *Resource) Version() string { return hex.EncodeToString(r.Digest[:8]) }

func newResource(r *routing.Resource) (*Resource, error) {
	out := &Resource{Name: r.Name, Digest: r.Digest, Body: r.Body, Sealed: r.Sealed, Origin: r.Origin}
	if r.Type == ClusterType {
		if err := out.readCluster(r.Body); err != nil {
			return nil, fmt.Errorf("read cluster %s: %w", r.Name, err)
		}
	}
	return out, nil
}

// readCluster finds out what a cluster asks for.
func (r *Resource) readCluster(body []byte) error {
	var c clusterv3.Cluster
	if err := proto.Unmarshal(body, &c); err != nil {
		return err
	}
	if c.GetType() == clusterv3.Cluster_EDS {
		r.Assignment = cmp.Or(c.GetEdsClusterConfig().GetServiceName(), c.GetName())
	}
	var tls tlsv3.UpstreamTlsContext
	socket := c.GetTransportSocket().GetTypedConfig()
	if !socket.MessageIs(&tls) {
		return nil
	}
	if err := socket.UnmarshalTo(&tls); err != nil {
		return err
	}
	common := tls.GetCommonTlsContext()
	for _, secret := range append(common.GetTlsCertificateSdsSecretConfigs(),
		common.GetValidationContextSdsSecretConfig(), common.GetCombinedValidationContext().GetValidationContextSdsSecretConfig()) {
		if name := secret.GetName(); name != "" {
			r.Secrets = append(r.Secrets, name)
		}
	}
	return nil
}

func newAssignment(a endpoints.Assignment) *Resource {
	return &Resource{
		Name: a.Name, Digest: a.Digest, Body: a.Body,
		Origin: events.Key{Resource: events.EndpointSlices, Name: a.Name},
	}
}

package files

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// document is the content of a file.
type document[S any] struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Status     *S       `json:"status"`
}

type metadata struct {
	Name       string `json:"name"`
	Namespace  string `json:"namespace,omitempty"`
	Generation int64  `json:"generation,omitempty"`
	UID        string `json:"uid,omitempty"`
}

// kindOf is the kind of the objects that have a status of ours, by resource.
func kindOf(resource string) (string, bool) {
	kind, ok := map[string]string{
		events.GatewayClasses: "GatewayClass", events.Gateways: "Gateway", events.ListenerSets: "ListenerSet",
		events.HTTPRoutes: "HTTPRoute", events.GRPCRoutes: "GRPCRoute",
		events.TLSRoutes: "TLSRoute", events.TCPRoutes: "TCPRoute", events.UDPRoutes: "UDPRoute",
		events.BackendTLSPolicies: "BackendTLSPolicy", events.RoutingPins: v1alpha1.KindPin,
	}[resource]
	return kind, ok
}

func encode(key events.Key, o conditions.Object) ([]byte, error) {
	switch {
	case o.Class != nil:
		return encodeAs(key, o, o.Class)
	case o.Gateway != nil:
		return encodeAs(key, o, o.Gateway)
	case o.Policy != nil:
		return encodeAs(key, o, o.Policy)
	case o.ListenerSet != nil:
		return encodeAs(key, o, o.ListenerSet)
	case o.Pin != nil:
		return encodeAs(key, o, o.Pin)
	default:
		return encodeAs(key, o, o.Route)
	}
}

func encodeAs[S any](key events.Key, o conditions.Object, status *S) ([]byte, error) {
	kind, ok := kindOf(key.Resource)
	if !ok {
		return nil, fmt.Errorf("no kind is known for the resource %s", key.Resource)
	}
	version := gatewayv1.GroupVersion.String()
	if key.Resource == events.RoutingPins {
		version = v1alpha1.GroupName + "/" + v1alpha1.Version
	}
	return yaml.Marshal(document[S]{
		APIVersion: version, Kind: kind, Status: status,
		Metadata: metadata{Name: key.Name, Namespace: key.Namespace, Generation: o.Generation, UID: o.UID},
	})
}

func decode(key events.Key, data []byte) (conditions.Object, error) {
	switch key.Resource {
	case events.GatewayClasses:
		o, status, err := decodeAs[gatewayv1.GatewayClassStatus](data)
		o.Class = status
		return o, err
	case events.Gateways:
		o, status, err := decodeAs[gatewayv1.GatewayStatus](data)
		o.Gateway = status
		return o, err
	case events.BackendTLSPolicies:
		o, status, err := decodeAs[gatewayv1.PolicyStatus](data)
		o.Policy = status
		return o, err
	case events.RoutingPins:
		o, status, err := decodeAs[v1alpha1.RoutingPinStatus](data)
		o.Pin = status
		return o, err
	case events.ListenerSets:
		o, status, err := decodeAs[gatewayv1.ListenerSetStatus](data)
		o.ListenerSet = status
		return o, err
	default:
		o, status, err := decodeAs[gatewayv1.RouteStatus](data)
		o.Route = status
		return o, err
	}
}

func decodeAs[S any](data []byte) (conditions.Object, *S, error) {
	var d document[S]
	if err := yaml.Unmarshal(data, &d); err != nil {
		return conditions.Object{}, nil, err
	}
	return conditions.Object{UID: d.Metadata.UID, Generation: d.Metadata.Generation}, d.Status, nil
}

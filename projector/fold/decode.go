package fold

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
)

// decode fills o from the recorded JSON. A kind that routing does not read is
// kept with its metadata only, so that a newer build finds it in a checkpoint.
func (o *Object) decode(data []byte) error {
	switch o.Key.Resource {
	case events.GatewayClasses:
		return decodeAs[gatewayv1.GatewayClass](o, data)
	case events.Gateways:
		return decodeAs[gatewayv1.Gateway](o, data)
	case events.HTTPRoutes:
		return decodeAs[gatewayv1.HTTPRoute](o, data)
	case events.GRPCRoutes:
		return decodeAs[gatewayv1.GRPCRoute](o, data)
	case events.TLSRoutes:
		return decodeAs[gatewayv1.TLSRoute](o, data)
	case events.TCPRoutes:
		return decodeAs[gatewayv1.TCPRoute](o, data)
	case events.UDPRoutes:
		return decodeAs[gatewayv1.UDPRoute](o, data)
	case events.ReferenceGrants:
		return decodeAs[gatewayv1.ReferenceGrant](o, data)
	case events.Services:
		return decodeAs[corev1.Service](o, data)
	case events.Namespaces:
		return decodeAs[corev1.Namespace](o, data)
	case events.Secrets:
		return decodeSecret(o, data)
	default:
		return decodeAs[metav1.PartialObjectMetadata](o, data)
	}
}

func decodeAs[T any, P interface {
	*T
	metav1.Object
}](o *Object, data []byte) error {
	value := P(new(T))
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("decode %s: %w", o.Key, err)
	}
	o.setMeta(value)
	// Annotations are often most of an object, and those that are read are in o.
	value.SetAnnotations(nil)
	o.Value = (*T)(value)
	return nil
}

// decodeSecret reads the recorded form, which is not a v1 Secret: no private key
// is in the log in clear.
func decodeSecret(o *Object, data []byte) error {
	var head metav1.PartialObjectMetadata
	secret := &events.Secret{}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("decode %s: %w", o.Key, err)
	}
	if err := json.Unmarshal(data, secret); err != nil {
		return fmt.Errorf("decode %s: %w", o.Key, err)
	}
	o.setMeta(&head)
	o.Value = secret
	return nil
}

func (o *Object) setMeta(m metav1.Object) {
	o.UID = string(m.GetUID())
	o.Generation = m.GetGeneration()
	o.Created = m.GetCreationTimestamp().UTC()
	switch o.Key.Resource {
	case events.Namespaces:
		o.Labels = m.GetLabels()
	case events.GatewayClasses:
		o.Annotations = m.GetAnnotations()
	}
}

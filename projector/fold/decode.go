package fold

import (
	"encoding/json"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// decode fills o from the recorded JSON. A kind that routing does not read is
// kept with its metadata only, so that a newer build finds it in a checkpoint.
func (o *Object) decode(data []byte) error {
	switch o.Key.Resource {
	case events.GatewayClasses:
		return decodeAs[gatewayv1.GatewayClass](o, data)
	case events.RutterClasses:
		return decodeTo(o, data, func(c *v1alpha1.RutterClass) *v1alpha1.RutterClassSpec { return new(c.Spec) })
	case events.RoutingPins:
		return decodeTo(o, data, readPin)
	case events.Gateways:
		return decodeAs[gatewayv1.Gateway](o, data)
	case events.ListenerSets:
		return decodeTo(o, data, func(l *gatewayv1.ListenerSet) *gatewayv1.ListenerSetSpec { return new(l.Spec) })
	case events.HTTPRoutes:
		return decodeTo(o, data, func(r *gatewayv1.HTTPRoute) *gatewayv1.HTTPRouteSpec { return new(r.Spec) })
	case events.GRPCRoutes:
		return decodeTo(o, data, func(r *gatewayv1.GRPCRoute) *gatewayv1.GRPCRouteSpec { return new(r.Spec) })
	case events.TLSRoutes:
		return decodeTo(o, data, func(r *gatewayv1.TLSRoute) *gatewayv1.TLSRouteSpec { return new(r.Spec) })
	case events.TCPRoutes:
		return decodeTo(o, data, func(r *gatewayv1.TCPRoute) *gatewayv1.TCPRouteSpec { return new(r.Spec) })
	case events.UDPRoutes:
		return decodeTo(o, data, func(r *gatewayv1.UDPRoute) *gatewayv1.UDPRouteSpec { return new(r.Spec) })
	case events.ReferenceGrants:
		return decodeAs[gatewayv1.ReferenceGrant](o, data)
	case events.BackendTLSPolicies:
		return decodeTo(o, data, func(p *gatewayv1.BackendTLSPolicy) *gatewayv1.BackendTLSPolicySpec { return new(p.Spec) })
	case events.ConfigMaps:
		return decodeTo(o, data, func(c *corev1.ConfigMap) *Authorities {
			return &Authorities{PEM: c.Data["ca.crt"], JWKS: c.Data["jwks.json"]}
		})
	case events.ClusterTrustBundles:
		return decodeTo(o, data, func(b *certificatesv1.ClusterTrustBundle) *Authorities { return &Authorities{PEM: b.Spec.TrustBundle} })
	case events.Services:
		return decodeTo(o, data, readService)
	case events.Namespaces:
		return decodeAs[corev1.Namespace](o, data)
	case events.Secrets:
		return decodeSecret(o, data)
	case events.CustomResourceDefinitions:
		return decodeTo(o, data, readDefinition)
	default:
		return decodeAs[metav1.PartialObjectMetadata](o, data)
	}
}

// Service is what is read of a Service.
type Service struct {
	Type  corev1.ServiceType
	Ports []corev1.ServicePort
	// Owned is kept of one that has owners, as that of a provisioned Gateway does.
	Owned *Owned
}

// Owned says whose a Service is, and where it is reached.
type Owned struct {
	Owners                  []types.UID
	ClusterIPs, ExternalIPs []string
	Ingress                 []corev1.LoadBalancerIngress
}

func readService(s *corev1.Service) *Service {
	out := &Service{Type: s.Spec.Type, Ports: s.Spec.Ports}
	if len(s.OwnerReferences) > 0 {
		out.Owned = &Owned{ClusterIPs: s.Spec.ClusterIPs, ExternalIPs: s.Spec.ExternalIPs, Ingress: s.Status.LoadBalancer.Ingress}
		for _, owner := range s.OwnerReferences {
			out.Owned.Owners = append(out.Owned.Owners, owner.UID)
		}
	}
	return out
}

// Authorities is what is read of a ConfigMap or a ClusterTrustBundle: the
// certificates, and the keys of an issuer of tokens, that it says to trust, as it has
// them.
type Authorities struct{ PEM, JWKS string }

// Definition is what is read of a CustomResourceDefinition: which release of the
// Gateway API it is of, and which channel. Both are empty where it does not say.
type Definition struct{ Release, Channel string }

func readDefinition(d *metav1.PartialObjectMetadata) *Definition {
	return &Definition{Release: d.Annotations[consts.BundleVersionAnnotation], Channel: d.Annotations[consts.ChannelAnnotation]}
}

// decodeAs keeps the whole of an object of T.
func decodeAs[T any, P object[T]](o *Object, data []byte) error {
	return decodeTo[T, T, P](o, data, func(value *T) *T {
		// Annotations are often most of an object, and those that are read are in o.
		P(value).SetAnnotations(nil)
		return value
	})
}

// decodeTo keeps, of an object of T, what read returns. Kinds that are many have
// little in them that routing depends on, and metadata is large.
func decodeTo[T, V any, P object[T]](o *Object, data []byte, read func(*T) *V) error {
	value := P(new(T))
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("decode %s: %w", o.Key, err)
	}
	o.setMeta(value)
	o.Value = read((*T)(value))
	return nil
}

type object[T any] interface {
	*T
	metav1.Object
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

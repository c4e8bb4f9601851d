package index

import (
	"encoding/json"
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// Refers tells whether objects of a resource can refer to others that are recorded
// only for that.
func Refers(resource string) bool {
	switch resource {
	case events.Gateways, events.ListenerSets, events.BackendTLSPolicies, events.RutterClasses:
		return true
	}
	return false
}

// References are the objects to which an object (its JSON) refers and that are
// recorded only for that, sorted.
func References(resource string, object []byte) ([]events.Key, error) {
	var r references
	var err error
	switch resource {
	case events.Gateways:
		var gw gatewayv1.Gateway
		err = json.Unmarshal(object, &gw)
		r.gateway(&gw)
	case events.ListenerSets:
		var set gatewayv1.ListenerSet
		err = json.Unmarshal(object, &set)
		for _, l := range set.Spec.Listeners {
			r.listener(set.Namespace, l.TLS)
		}
	case events.BackendTLSPolicies:
		var policy gatewayv1.BackendTLSPolicy
		err = json.Unmarshal(object, &policy)
		for _, ref := range policy.Spec.Validation.CACertificateRefs {
			r.add(string(ref.Group), string(ref.Kind), policy.Namespace, nil, ref.Name)
		}
	case events.RutterClasses:
		var class v1alpha1.RutterClass
		err = json.Unmarshal(object, &class)
		r.tokens(class.Spec.Tenancy)
	}
	if err != nil {
		return nil, fmt.Errorf("read what it refers to: %w", err)
	}
	slices.SortFunc(r.keys, events.Key.Compare)
	return slices.Compact(r.keys), nil
}

type references struct{ keys []events.Key }

func (r *references) add(group, kind, namespace string, other *gatewayv1.Namespace, name gatewayv1.ObjectName) {
	if other != nil {
		namespace = string(*other)
	}
	if key, ok := events.ReferenceKey(group, kind, namespace, string(name)); ok {
		r.keys = append(r.keys, key)
	}
}

func (r *references) gateway(gw *gatewayv1.Gateway) {
	for _, l := range gw.Spec.Listeners {
		r.listener(gw.Namespace, l.TLS)
	}
	tls := gw.Spec.TLS
	if tls == nil {
		return
	}
	if tls.Backend != nil && tls.Backend.ClientCertificateRef != nil {
		r.certificate(gw.Namespace, *tls.Backend.ClientCertificateRef)
	}
	if tls.Frontend == nil {
		return
	}
	r.validation(gw, tls.Frontend.Default.Validation)
	for _, port := range tls.Frontend.PerPort {
		r.validation(gw, port.TLS.Validation)
	}
}

func (r *references) listener(namespace string, tls *gatewayv1.ListenerTLSConfig) {
	if tls == nil {
		return
	}
	for _, ref := range tls.CertificateRefs {
		r.certificate(namespace, ref)
	}
}

func (r *references) certificate(namespace string, ref gatewayv1.SecretObjectReference) {
	group, kind := "", "Secret"
	if ref.Group != nil {
		group = string(*ref.Group)
	}
	if ref.Kind != nil {
		kind = string(*ref.Kind)
	}
	r.add(group, kind, namespace, ref.Namespace, ref.Name)
}

func (r *references) tokens(t *v1alpha1.Tenancy) {
	if t == nil || t.AuthHeader == nil || t.AuthHeader.JWKS.ConfigMapRef == nil {
		return
	}
	ref := t.AuthHeader.JWKS.ConfigMapRef
	r.add("", "ConfigMap", ref.Namespace, nil, gatewayv1.ObjectName(ref.Name))
}

func (r *references) validation(gw *gatewayv1.Gateway, v *gatewayv1.FrontendTLSValidation) {
	if v == nil {
		return
	}
	for _, ref := range v.CACertificateRefs {
		r.add(string(ref.Group), string(ref.Kind), gw.Namespace, ref.Namespace, ref.Name)
	}
}

package manifests

import (
	"fmt"
	"maps"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/rutter-gateway/rutter/events"
)

// coreKinds are the built-in kinds that are read. Their defaults and validation
// are compiled into the API server, so what routing depends on is written out in
// the files named for them; their rules about updates (immutable fields) are not.
func coreKinds() map[schema.GroupKind]kind {
	all := map[schema.GroupKind]kind{}
	add := func(gvk schema.GroupVersionKind, resource string, namespaced bool, e endpoint) {
		all[gvk.GroupKind()] = kind{resource: resource, namespaced: namespaced, versions: map[string]endpoint{gvk.Version: e}}
	}
	v1 := func(kind string) schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind(kind) }
	bundle := certificatesv1.SchemeGroupVersion.WithKind("ClusterTrustBundle")
	slice := discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
	add(v1("Service"), events.Services, true, core[corev1.Service]{v1("Service"), true, serviceMeta, defaultService, validateService})
	add(v1("Secret"), events.Secrets, true, core[corev1.Secret]{v1("Secret"), true, secretMeta, defaultSecret, validateSecret})
	add(v1("ConfigMap"), events.ConfigMaps, true, core[corev1.ConfigMap]{v1("ConfigMap"), true, configMapMeta, nil, validateConfigMap})
	add(v1("Namespace"), events.Namespaces, false, core[corev1.Namespace]{v1("Namespace"), false, namespaceMeta, defaultNamespace, nil})
	add(slice, events.EndpointSlices, true, core[discoveryv1.EndpointSlice]{slice, true, sliceMeta, defaultSlice, validateSlice})
	add(bundle, events.ClusterTrustBundles, false, core[certificatesv1.ClusterTrustBundle]{bundle, false, trustBundleMeta, nil, validateTrustBundle})
	// Between its versions nothing but the name differs.
	all[bundle.GroupKind()].versions["v1beta1"] = all[bundle.GroupKind()].versions[bundle.Version]
	return all
}

// core is the endpoint of a built-in kind with the Go type T.
type core[T any] struct {
	kind       schema.GroupVersionKind
	namespaced bool
	meta       func(*T) *metav1.ObjectMeta
	defaults   func(*T)                 // nil: none
	validate   func(*T) field.ErrorList // nil: only the metadata
}

func (c core[T]) create(r request) (map[string]any, error) {
	var typed T
	strict, err := kjson.UnmarshalStrict(r.json, &typed)
	if err == nil {
		err = strictError(append(r.strict, strict...), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%s in version %q cannot be handled as a %s: %w", c.kind.Kind, c.kind.Version, c.kind.Kind, err)
	}
	meta := c.meta(&typed)
	assignMetadata(meta, c.namespaced)
	if c.defaults != nil {
		c.defaults(&typed)
	}
	errs := validateMetadata(meta, c.namespaced, validNames(c.kind.GroupKind()))
	if c.validate != nil {
		errs = append(errs, c.validate(&typed)...)
	}
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(c.kind.GroupKind(), meta.Name, errs)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&typed)
	if err != nil {
		return nil, fmt.Errorf("convert %s: %w", c.kind.Kind, err)
	}
	object = maps.Clone(object)
	delete(object, "status") // a manifest cannot set it
	object["kind"], object["apiVersion"] = c.kind.Kind, c.kind.GroupVersion().String()
	return object, nil
}

func (c core[T]) update(_, _ map[string]any) error { return nil }
func (c core[T]) compares() bool                   { return false }

func namespaceMeta(n *corev1.Namespace) *metav1.ObjectMeta { return &n.ObjectMeta }

// defaultNamespace sets the label by which Gateways select a namespace by name.
func defaultNamespace(n *corev1.Namespace) {
	if n.Name == "" {
		return
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[corev1.LabelMetadataName] = n.Name
}

package manifests

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// assignMetadata brings the metadata of a manifest into the state in which the
// API server validates it: the namespace is "default" where none is given and
// none where the kind has none; what only the API server may set is cleared, so
// that the output of kubectl get can be used as a manifest.
func assignMetadata(meta *metav1.ObjectMeta, namespaced bool) {
	switch {
	case !namespaced:
		meta.Namespace = ""
	case meta.Namespace == "":
		meta.Namespace = metav1.NamespaceDefault
	}
	meta.UID, meta.ResourceVersion, meta.Generation, meta.SelfLink = "", "", 0, ""
	meta.CreationTimestamp = metav1.Time{}
	meta.DeletionTimestamp, meta.DeletionGracePeriodSeconds = nil, nil
	meta.ManagedFields = nil
}

// validateMetadata is the validation that every kind has in common. A
// generateName alone is refused: reading a manifest twice must not make two
// objects.
func validateMetadata(meta *metav1.ObjectMeta, namespaced bool, names validation.ValidateNameFunc) field.ErrorList {
	return validation.ValidateObjectMetaDeclaratively(context.Background(), operation.Create, meta, nil, namespaced, names, field.NewPath("metadata"), true)
}

// validNames says which names a kind may have.
func validNames(k schema.GroupKind) validation.ValidateNameFunc {
	switch k.String() {
	case "Namespace", "Service": // Service names are DNS-1123 labels since Kubernetes 1.36
		return validation.NameIsDNSLabel
	case "ClusterTrustBundle.certificates.k8s.io": // see trustBundleName
		return path.ValidatePathSegmentName
	default:
		return validation.NameIsDNSSubdomain
	}
}

// strictError is the error for duplicate and unknown fields; nil without any.
func strictError(duplicates []error, unknown []string) error {
	errs := duplicates
	for _, path := range unknown {
		errs = append(errs, fmt.Errorf(`unknown field "%s"`, path))
	}
	if len(errs) == 0 {
		return nil
	}
	return runtime.NewStrictDecodingError(errs)
}

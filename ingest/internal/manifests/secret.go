package manifests

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func secretMeta(s *corev1.Secret) *metav1.ObjectMeta { return &s.ObjectMeta }

// defaultSecret merges stringData, which exists only on the way in, into data.
func defaultSecret(s *corev1.Secret) {
	if len(s.StringData) > 0 && s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(value)
	}
	s.StringData = nil
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
}

// validateSecret checks keys, size and the entries of a TLS Secret. No message
// quotes a value. The entries that other types require are not checked: nothing
// reads Secrets of those types.
func validateSecret(s *corev1.Secret) field.ErrorList {
	data := field.NewPath("data")
	errs, size := validateKeys(s.Data, data)
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(data, "", corev1.MaxSecretSize))
	}
	if s.Type == corev1.SecretTypeTLS {
		for _, required := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if _, ok := s.Data[required]; !ok {
				errs = append(errs, field.Required(data.Key(required), ""))
			}
		}
	}
	return errs
}

func configMapMeta(c *corev1.ConfigMap) *metav1.ObjectMeta { return &c.ObjectMeta }

func validateConfigMap(c *corev1.ConfigMap) field.ErrorList {
	errs, size := validateKeys(c.Data, field.NewPath("data"))
	binary := field.NewPath("binaryData")
	more, binarySize := validateKeys(c.BinaryData, binary)
	errs = append(errs, more...)
	for _, key := range slices.Sorted(maps.Keys(c.BinaryData)) {
		if _, both := c.Data[key]; both {
			errs = append(errs, field.Invalid(binary.Key(key), key, "duplicate of key present in data"))
		}
	}
	if size+binarySize > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

// validateKeys checks the names of entries and adds up the size of their values.
func validateKeys[V string | []byte](data map[string]V, path *field.Path) (errs field.ErrorList, size int) {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		for _, message := range validation.IsConfigMapKey(key) {
			errs = append(errs, field.Invalid(path.Key(key), key, message))
		}
		size += len(data[key])
	}
	return errs, size
}

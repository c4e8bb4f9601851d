package manifests

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxTrustBundle is the most that spec.trustBundle may have, in bytes.
const maxTrustBundle = 1 << 20

func trustBundleMeta(b *certificatesv1.ClusterTrustBundle) *metav1.ObjectMeta { return &b.ObjectMeta }

func validateTrustBundle(b *certificatesv1.ClusterTrustBundle) field.ErrorList {
	var errs field.ErrorList
	for _, message := range trustBundleName(b.Name, b.Spec.SignerName) {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), b.Name, message))
	}
	path := field.NewPath("spec", "trustBundle")
	if len(b.Spec.TrustBundle) > maxTrustBundle {
		return append(errs, field.TooLong(path, "", maxTrustBundle))
	}
	return append(errs, validateAnchors(b.Spec.TrustBundle, path)...)
}

// trustBundleName is what is wrong with the name of a bundle: that of one with a
// signer begins with the signer's, with colons for slashes.
func trustBundleName(name, signer string) []string {
	switch {
	case signer != "":
		prefix := strings.ReplaceAll(signer, "/", ":") + ":"
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			return []string{fmt.Sprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix)}
		}
		name = rest
	case strings.Contains(name, ":"):
		return []string{`ClusterTrustBundle without signer name must not have ":" in its name`}
	}
	return validation.NameIsDNSSubdomain(name, false)
}

func validateAnchors(text string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	first := map[string]int{}
	entry := 0
	refuse := func(format string, args ...any) {
		errs = append(errs, field.Invalid(path, "<value omitted>", fmt.Sprintf(format, args...)))
	}
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		other, twice := first[string(block.Bytes)]
		switch {
		case block.Type != "CERTIFICATE":
			refuse("entry %d has bad block type: %v", entry, block.Type)
		case len(block.Headers) != 0:
			refuse("entry %d has PEM block headers", entry)
		case err != nil:
			refuse("entry %d does not parse as X.509", entry)
		case !certificate.IsCA:
			refuse("entry %d does not have the CA bit set", entry)
		case twice:
			refuse("duplicate trust anchor (indices [%d %d])", other, entry)
		default:
			first[string(block.Bytes)] = entry
		}
		entry++
	}
	if entry == 0 {
		refuse("at least one trust anchor must be provided")
	}
	return errs
}

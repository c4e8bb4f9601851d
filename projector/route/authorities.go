package route

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// authoritiesKey is the object that a reference to CA certificates leads to; false
// for a kind that holds none that Rutter reads. A ClusterTrustBundle is in no namespace.
func authoritiesKey(group, kind, namespace, name string) (events.Key, bool) {
	switch {
	case group == "" && kind == "ConfigMap":
		return events.Key{Resource: events.ConfigMaps, Namespace: namespace, Name: name}, true
	case group == "" && kind == "Secret":
		return events.Key{Resource: events.Secrets, Namespace: namespace, Name: name}, true
	case group == certificatesv1.GroupName && kind == "ClusterTrustBundle":
		return events.Key{Resource: events.ClusterTrustBundles, Name: name}, true
	}
	return events.Key{}, false
}

// authorities are the certificates that an object says to trust, as PEM with
// nothing else in it, or why there are none.
func (r *reader) authorities(key events.Key) (certificates []byte, why string) {
	var text []byte
	where := "ca.crt"
	if key.Resource == events.Secrets {
		_, secret := get[events.Secret](r, key)
		if secret == nil {
			return nil, "does not exist"
		}
		text = secret.Data["ca.crt"]
	} else {
		_, o := get[fold.Authorities](r, key)
		if o == nil {
			return nil, "does not exist"
		}
		text = []byte(o.PEM)
	}
	if key.Resource == events.ClusterTrustBundles {
		where = "spec.trustBundle"
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, "has no " + where
	}
	var out bytes.Buffer
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			continue // what Envoy could not read either
		}
		if err := pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}); err != nil {
			panic("route: a buffer takes everything: " + err.Error())
		}
	}
	if out.Len() == 0 {
		return nil, "has no PEM certificate in its " + where
	}
	return out.Bytes(), ""
}

// bundle is all that several objects say to trust. What has become unusable is left out.
func (r *reader) bundle(keys []events.Key) []byte {
	var out []byte
	for _, key := range keys {
		certificates, _ := r.authorities(key)
		out = append(out, certificates...)
	}
	return out
}

// called is an object in a sentence: "ConfigMap shop/ca".
func called(kind, namespace, name string) string {
	if namespace == "" {
		return fmt.Sprintf("%s %s", kind, name)
	}
	return fmt.Sprintf("%s %s/%s", kind, namespace, name)
}

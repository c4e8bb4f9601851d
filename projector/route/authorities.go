package route

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

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

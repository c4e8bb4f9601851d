package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

// secret is the output of a certificate. Its private key is empty here and
// travels sealed beside it; the xDS server puts it in (invariant 6).
func (b *builder) secret(id OutputID) ([]routing.Resource, error) {
	s := b.tables.Secret(route.SecretID{Gateway: id.Gateway, Name: id.Name})
	if s == nil {
		return nil, nil
	}
	r, err := resource(TypeSecret, id.Name, &tlsv3.Secret{
		Name: id.Name,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(s.CertificateChain),
			PrivateKey:       inline(nil),
		}},
	}, s.Key)
	if err != nil {
		return nil, err
	}
	r.Sealed = s.SealedKey
	return []routing.Resource{r}, nil
}

func inline(data []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: data}}
}

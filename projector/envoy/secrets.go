package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

// systemAuthorities is where the CA certificates of the system are on Debian and its
// kin, and in Envoy's own images.
const systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

// secret is the output of a certificate, or of the certificates to trust. A private
// key is empty here and travels sealed beside it; the xDS server puts it in
// (invariant 6).
func (b *builder) secret(id OutputID) ([]routing.Resource, error) {
	s := b.tables.Secret(route.SecretID{Gateway: id.Gateway, Name: id.Name})
	if s == nil {
		return nil, nil
	}
	out := &tlsv3.Secret{Name: id.Name}
	switch {
	case s.System:
		out.Type = trusted(&corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: systemAuthorities}})
	case s.Authorities != nil:
		out.Type = trusted(inline(s.Authorities))
	default:
		out.Type = &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(s.CertificateChain),
			PrivateKey:       inline(nil),
		}}
	}
	r, err := resource(TypeSecret, id.Name, out, s.Key)
	if err != nil {
		return nil, err
	}
	r.Sealed = s.SealedKey
	return []routing.Resource{r}, nil
}

func trusted(authorities *corev3.DataSource) *tlsv3.Secret_ValidationContext {
	return &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: authorities}}
}

func inline(data []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: data}}
}

package envoy

import (
	"regexp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// secured is how a cluster speaks TLS to its endpoints (BackendTLSPolicy). The
// certificates to trust come by SDS, so that new ones change no cluster and drop
// no connection.
func secured(c *route.Cluster) (*corev3.TransportSocket, error) {
	validation := &tlsv3.CertificateValidationContext{}
	for _, name := range c.TLS.Names {
		validation.MatchTypedSubjectAltNames = append(validation.MatchTypedSubjectAltNames, altName(name))
	}
	common := &tlsv3.CommonTlsContext{
		TlsParams: tlsVersions(), AlpnProtocols: alpnOf(c.Protocol), ValidationContextType: validated(validation, c.TLS.CA),
	}
	if c.TLS.ClientCertificate != "" {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{sds(c.TLS.ClientCertificate)}
	}
	return transportSocket(&tlsv3.UpstreamTlsContext{Sni: c.TLS.Hostname, CommonTlsContext: common})
}

// validated is a validation by the certificates of a secret.
func validated(by *tlsv3.CertificateValidationContext, ca string) *tlsv3.CommonTlsContext_CombinedValidationContext {
	return &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         by,
			ValidationContextSdsSecretConfig: sds(ca),
		},
	}
}

func transportSocket(m message) (*corev3.TransportSocket, error) {
	tls, err := anyOf(m)
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: tls},
	}, nil
}

func sds(secret string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{Name: secret, SdsConfig: ads()}
}

// tlsVersions leaves no more to Envoy's defaults, which differ between clients
// (1.2 and nothing newer) and servers.
func tlsVersions() *tlsv3.TlsParameters {
	return &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3}
}

// alpnOf offers what will be spoken, and nothing else.
func alpnOf(p route.Protocol) []string {
	switch p {
	case route.Opaque:
		return nil
	case route.H2C:
		return []string{"h2"}
	default:
		return []string{"http/1.1"}
	}
}

// altName matches a name in a certificate. Envoy lets a wildcard in the certificate
// stand for one label; a wildcard in the policy is taken to mean the same.
func altName(name route.AltName) *tlsv3.SubjectAltNameMatcher {
	exact := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name.Value}}
	if name.URI {
		return &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: exact}
	}
	if parent, ok := strings.CutPrefix(name.Value, "*."); ok {
		exact.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: `[^.]+\.` + regexp.QuoteMeta(parent)}}
	}
	return &tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_DNS, Matcher: exact}
}

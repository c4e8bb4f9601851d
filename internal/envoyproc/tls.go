package envoyproc

import (
	"fmt"
	"net"
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// TLS is how Envoy and the xDS server know each other: both show a certificate,
// and each checks that of the other.
type TLS struct {
	// Dir holds tls.crt, tls.key and ca.crt, as a mounted Secret does. Envoy takes
	// what is renewed there without a restart.
	Dir string
	// SecretsDir holds the files of [SecretFiles].
	SecretsDir string
}

// The files of [SecretFiles].
const (
	certificateFile = "xds-certificate.json"
	authorityFile   = "xds-authority.json"
)

// SecretFiles are the files, by name, from which Envoy learns where the
// certificates are. They have to be apart from the bootstrap: Envoy watches for
// renewed certificates only where they come by discovery.
func SecretFiles(t *TLS, xds string) (map[string][]byte, error) {
	host, _, err := net.SplitHostPort(xds)
	if err != nil {
		return nil, fmt.Errorf("address of the xDS server %q: %w", xds, err)
	}
	file := func(name string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: filepath.Join(t.Dir, name)}}
	}
	watched := &corev3.WatchedDirectory{Path: t.Dir}
	nameType := tlsv3.SubjectAltNameMatcher_DNS
	if net.ParseIP(host) != nil {
		nameType = tlsv3.SubjectAltNameMatcher_IP_ADDRESS
	}
	files := map[string][]byte{}
	for name, secret := range map[string]*tlsv3.Secret{
		certificateFile: {Name: certificateFile, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file("tls.crt"), PrivateKey: file("tls.key"), WatchedDirectory: watched,
		}}},
		authorityFile: {Name: authorityFile, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: file("ca.crt"), WatchedDirectory: watched,
			MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: nameType, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: host}},
			}},
		}}},
	} {
		resource, err := anypb.New(secret)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		if files[name], err = Encode(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{resource}}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// transportSocket is how Envoy speaks TLS with the xDS server.
func (t *TLS) transportSocket(xds string) (*corev3.TransportSocket, error) {
	host, _, err := net.SplitHostPort(xds)
	if err != nil {
		return nil, fmt.Errorf("address of the xDS server %q: %w", xds, err)
	}
	secret := func(name string) *tlsv3.SdsSecretConfig {
		return &tlsv3.SdsSecretConfig{Name: name, SdsConfig: &corev3.ConfigSource{
			ResourceApiVersion: corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
				Path: filepath.Join(t.SecretsDir, name),
			}},
		}}
	}
	context := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		// As a client Envoy does not go beyond 1.2 unless told so.
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
		},
		AlpnProtocols:                  []string{"h2"},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{secret(certificateFile)},
		ValidationContextType:          &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{ValidationContextSdsSecretConfig: secret(authorityFile)},
	}}
	if net.ParseIP(host) == nil {
		context.Sni = host
	}
	config, err := anypb.New(context)
	if err != nil {
		return nil, fmt.Errorf("encode the TLS context of the xDS server: %w", err)
	}
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: config}}, nil
}

package describe

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// Certificate is what a TLS listener presents. All but Secret is from the leaf
// of the published chain, and empty where none is published.
type Certificate struct {
	// Secret is namespace/name.
	Secret   string    `json:"secret"`
	Subject  string    `json:"subject,omitempty"`
	Names    []string  `json:"names,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Fingerprint is the SHA-256 of the certificate, in hex.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// addListeners reads one Envoy listener: one port, with the filter chains on it.
func (g *Gateway) addListeners(body []byte) error {
	l := &listenerv3.Listener{}
	if err := proto.Unmarshal(body, l); err != nil {
		return err
	}
	port := l.GetAddress().GetSocketAddress().GetPortValue()
	if l.GetUdpListenerConfig() != nil {
		return g.addDatagrams(l, port)
	}
	for _, chain := range l.GetFilterChains() {
		name, hostname, stream := strings.Cut(chain.GetName(), "/")
		if stream {
			if err := g.addStream(name, hostname, chain); err != nil {
				return fmt.Errorf("filter chain %s: %w", chain.GetName(), err)
			}
			if slices.ContainsFunc(g.Listeners, func(l Listener) bool { return l.Name == name }) {
				continue
			}
		}
		out := Listener{Name: name, Port: port}
		if names := chain.GetFilterChainMatch().GetServerNames(); len(names) > 0 && !stream {
			out.ServerName = names[0]
		}
		if socket := chain.GetTransportSocket(); socket != nil {
			out.TLS = true
			tls := &tlsv3.DownstreamTlsContext{}
			if err := socket.GetTypedConfig().UnmarshalTo(tls); err != nil {
				return fmt.Errorf("filter chain %s: %w", chain.GetName(), err)
			}
			out.readClients(tls)
			for _, secret := range tls.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs() {
				out.Certificates = append(out.Certificates, Certificate{Secret: secret.GetName()})
			}
		}
		if !stream {
			if err := out.readFilters(chain); err != nil {
				return fmt.Errorf("filter chain %s: %w", chain.GetName(), err)
			}
		}
		g.Listeners = append(g.Listeners, out)
	}
	return nil
}

// readClients finds out how the certificates of clients are validated.
func (l *Listener) readClients(tls *tlsv3.DownstreamTlsContext) {
	combined := tls.GetCommonTlsContext().GetCombinedValidationContext()
	if combined == nil {
		return
	}
	l.ca, l.Clients = combined.GetValidationContextSdsSecretConfig().GetName(), "required"
	if !tls.GetRequireClientCertificate().GetValue() {
		l.Clients = "optional, also invalid ones"
	}
}

// addSecret reads a certificate, or certificates to trust.
func addSecret(certificates map[string]Certificate, authorities map[string]string, name string, body []byte) error {
	secret := &tlsv3.Secret{}
	if err := proto.Unmarshal(body, secret); err != nil {
		return err
	}
	if v := secret.GetValidationContext(); v != nil {
		authorities[name] = trusted(v)
		return nil
	}
	c, err := certificate(name, secret.GetTlsCertificate().GetCertificateChain().GetInlineBytes())
	certificates[name] = c
	return err
}

func certificate(name string, chain []byte) (Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return Certificate{}, errors.New("its certificate chain is not PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Certificate{}, err
	}
	sum := sha256.Sum256(leaf.Raw)
	c := Certificate{Secret: name, Subject: leaf.Subject.String(), Names: leaf.DNSNames, NotAfter: leaf.NotAfter.UTC(), Fingerprint: hex.EncodeToString(sum[:])}
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	return c, nil
}

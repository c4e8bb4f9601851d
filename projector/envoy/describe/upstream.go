package describe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
)

// upstream is how a cluster is reached over TLS.
type upstream struct {
	names []string // of which the backend's certificate must have one
	sni   string
	ca    string // secret
	own   string // secret that is presented
}

// addCluster reads a cluster, if it is reached over TLS.
func addCluster(clusters map[string]upstream, body []byte) error {
	if !bytes.Contains(body, []byte("UpstreamTlsContext")) {
		return nil // most are not, and to read all of them takes long
	}
	c := &clusterv3.Cluster{}
	if err := proto.Unmarshal(body, c); err != nil {
		return err
	}
	if c.GetTransportSocket() == nil {
		return nil
	}
	tls := &tlsv3.UpstreamTlsContext{}
	if err := c.GetTransportSocket().GetTypedConfig().UnmarshalTo(tls); err != nil {
		return err
	}
	validation := tls.GetCommonTlsContext().GetCombinedValidationContext()
	u := upstream{sni: tls.GetSni(), ca: validation.GetValidationContextSdsSecretConfig().GetName()}
	for _, secret := range tls.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs() {
		u.own = secret.GetName()
	}
	for _, name := range validation.GetDefaultValidationContext().GetMatchTypedSubjectAltNames() {
		text := name.GetMatcher().GetExact()
		if pattern := name.GetMatcher().GetSafeRegex(); pattern != nil {
			text = pattern.GetRegex()
		}
		u.names = append(u.names, text)
	}
	clusters[c.GetName()] = u
	return nil
}

// secure says of every backend, and of the clients of every listener, how they
// identify themselves.
func (g *Gateway) secure(clusters map[string]upstream, authorities map[string]string) {
	for i := range g.Listeners {
		if l := &g.Listeners[i]; l.ca != "" {
			l.Clients += ", " + authorities[l.ca]
		}
	}
	for i := range g.Hosts {
		for j := range g.Hosts[i].Rules {
			list := g.Hosts[i].Rules[j].Backends
			for k := range list {
				if u, ok := clusters[list[k].Name]; ok {
					list[k].TLS = u.text(authorities[u.ca])
				}
			}
		}
	}
}

func (u upstream) text(authorities string) string {
	out := strings.Join(u.names, " or ")
	if len(u.names) != 1 || u.names[0] != u.sni {
		out += " (asked for as " + u.sni + ")"
	}
	out += ", " + authorities
	if u.own != "" {
		out += ", with the certificate " + u.own
	}
	return out
}

// trusted is which authorities a validation trusts, told apart by their digest.
func trusted(v *tlsv3.CertificateValidationContext) string {
	ca := v.GetTrustedCa()
	if name := ca.GetFilename(); name != "" {
		return "authorities of " + name
	}
	sum := sha256.Sum256(ca.GetInlineBytes())
	return fmt.Sprintf("authorities %s", hex.EncodeToString(sum[:6]))
}

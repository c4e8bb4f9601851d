package replaytests

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
)

// newCertificate makes one for hosts. weak=1 gives it an RSA key that Envoy refuses,
// for=10s ends it after that time.
func newCertificate(t *testing.T, args []string) pair {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour)}
	weak := false
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "weak":
			weak = true
		case "for":
			d, err := time.ParseDuration(value)
			must(t, err)
			template.NotAfter = time.Now().Add(d)
		default:
			template.DNSNames = append(template.DNSNames, arg)
		}
	}
	var public, private any
	if weak {
		t.Setenv("GODEBUG", "rsa1024min=0")
		key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that is the point
		must(t, err)
		public, private = key.Public(), key
	} else {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		public, private = key.Public(), key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})}
}

func secretManifest(namespace, name string, p pair) []byte {
	encode := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n",
		name, namespace, encode(p.cert), encode(p.key))
}

func authorityManifest(namespace, name string, p pair) []byte {
	indented := strings.ReplaceAll(strings.TrimSpace(string(p.cert)), "\n", "\n    ")
	return fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata:\n  ca.crt: |\n    %s\n", name, namespace, indented)
}

// hasEndpoint tells whether the last EndpointSlice event names an address, or any.
func (r *recorder) hasEndpoint(address string, whichever bool) error {
	log, err := natslog.OpenDataDir(r.t.Context(), r.dataDir, discard())
	if err != nil {
		return err
	}
	defer log.Close()
	s, err := log.Stream(r.t.Context(), events.StreamConfig{Name: events.StreamEndpoints})
	if err != nil {
		return err
	}
	return endpointIn(r.t.Context(), s, address, whichever)
}

func endpointIn(ctx context.Context, s events.Stream, address string, whichever bool) error {
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	for i := info.Last; i >= info.First && i > 0; i-- {
		m, err := s.Get(ctx, i)
		if err != nil {
			return err
		}
		if strings.Contains(m.Subject, "-pods") {
			if whichever || strings.Contains(string(m.Data), `"`+address+`"`) {
				return nil
			}
			return errors.New("the last one is an older one")
		}
	}
	return os.ErrNotExist
}

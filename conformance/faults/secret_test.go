package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestAReplacedSecretIsServedAndNoConnectionIsRefused(t *testing.T) {
	r := newRig(t)
	trusted := x509.NewCertPool()
	r.applyCertificate(1, trusted)
	r.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: certificate}]}}
`)
	var served atomic.Int64 // the serial number of the last certificate
	config := func() *tls.Config {
		return &tls.Config{RootCAs: trusted.Clone(), ServerName: "first.example.com", VerifyConnection: func(state tls.ConnectionState) error {
			served.Store(state.PeerCertificates[0].SerialNumber.Int64())
			return nil
		}}
	}
	serves := func(serial int64) func() error {
		return func() error {
			connection, err := tls.Dial("tcp", r.address+":443", config())
			if err != nil {
				return err
			}
			defer connection.Close()
			if found := connection.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); found != serial {
				return fmt.Errorf("certificate %d is served", found)
			}
			return nil
		}
	}
	r.eventually("certificate 1", serves(1))
	for serial := int64(2); serial <= 4; serial++ {
		manifest := r.certificate(serial, trusted)
		begun := r.trafficTLS("first", config())
		r.apply(manifest)
		r.eventually(fmt.Sprintf("certificate %d", serial), serves(serial))
		r.eventually("traffic with it", func() error { return atLeast(int(served.Load()), int(serial)) })
		r.awaitMore(begun, 50)
		r.flawless(fmt.Sprintf("certificate %d replaced the one before", serial), begun)
		begun.Stop()
	}
}

func (r *rig) applyCertificate(serial int64, trusted *x509.CertPool) {
	r.Helper()
	r.apply(r.certificate(serial, trusted))
}

// certificate is the Secret with a new certificate, which is added to those that are
// trusted.
func (r *rig) certificate(serial int64, trusted *x509.CertPool) string {
	r.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("certificate ", serial)}, DNSNames: []string{"first.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	r.must(err)
	parsed, err := x509.ParseCertificate(der)
	r.must(err)
	trusted.AddCert(parsed)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	r.must(err)
	dir := r.TempDir()
	certificate, secret := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	r.must(os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	r.must(os.WriteFile(secret, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return r.kubectl("create", "secret", "tls", "certificate", "--cert="+certificate, "--key="+secret, "--dry-run=client", "-o", "yaml")
}

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// rsaCertificate is a self-signed certificate with a key of a size.
func rsaCertificate(t *testing.T, bits int, end time.Time, host string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

func TestACertificateThatExpiresIsServedAndWarnedOf(t *testing.T) {
	r := newRig(t)
	oldCert, oldKey := rsaCertificate(t, 2048, time.Now().Add(4*time.Second), "old.example.com")
	goodCert, goodKey := gwtest.Certificate(t, "good.example.com")
	weakCert, weakKey := rsaCertificate(t, 1024, time.Now().Add(time.Hour), "weak.example.com")
	secrets := secret("old", oldCert, oldKey) + "---\n" + secret("good", goodCert, goodKey) + "---\n" + secret("cold", weakCert, weakKey) + "---\n"
	r.save("secrets", secrets+secret("weak", goodCert, goodKey))
	r.save("gateway", class+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: old, port: %[1]d, protocol: HTTPS, hostname: old.example.com, tls: {certificateRefs: [{name: old}]}}
  - {name: good, port: %[1]d, protocol: HTTPS, hostname: good.example.com, tls: {certificateRefs: [{name: good}]}}
  - {name: weak, port: %[1]d, protocol: HTTPS, hostname: weak.example.com, tls: {certificateRefs: [{name: weak}]}}
  - {name: cold, port: %[1]d, protocol: HTTPS, hostname: cold.example.com, tls: {certificateRefs: [{name: cold}]}}
`, r.port))
	r.save("route", strings.Replace(routeManifest("web", "/", r.backend("web")), "hostnames: [web.example.com]", "hostnames: [old.example.com, good.example.com, weak.example.com]", 1))
	r.start()
	ask := func(host string) error {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			ServerName: host, InsecureSkipVerify: true, //nolint:gosec // expired on purpose
		}}
		status, _, err := get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), host)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}
	says := func(word string) {
		t.Helper()
		r.eventually("the Gateway says "+word, func() error {
			text, err := os.ReadFile(filepath.Join(r.data, "status/gateways/default/gw.yaml"))
			if err == nil && !strings.Contains(string(text), word) {
				err = errors.New("it does not: " + string(text))
			}
			return err
		})
	}
	for _, host := range []string{"old.example.com", "good.example.com", "weak.example.com"} {
		r.eventually(host+" is served", func() error { return ask(host) })
	}
	says("CertificateExpired")
	// Envoy refuses RSA keys below 2048 bits: what it had stays, and where it had none,
	// as in cold, that listener alone cannot be served.
	r.save("secrets", secrets+secret("weak", weakCert, weakKey))
	says("CertificateWeak")
	for _, host := range []string{"old.example.com", "good.example.com", "weak.example.com"} {
		if err := ask(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	r.verified()
	r.stop()
}

package past

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// certificateLike is a self-signed certificate for the names, and the time, of the
// first one in chain, with its private key.
func certificateLike(chain []byte) (certificate *corev3.DataSource, key []byte, err error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, nil, errors.New("the certificate that was published is no PEM")
	}
	was, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read the certificate that was published: %w", err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	subject := was.Subject
	subject.Organization = append(subject.Organization, "Rutter stand-in")
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: subject, DNSNames: was.DNSNames, IPAddresses: was.IPAddresses,
		NotBefore: was.NotBefore, NotAfter: was.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &x509.Certificate{SerialNumber: serial, Subject: subject}, private.Public(), private)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: text}},
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

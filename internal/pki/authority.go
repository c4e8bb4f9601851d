package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"time"
)

const (
	// authorityLife is how long a CA is valid.
	authorityLife = 10 * 365 * 24 * time.Hour
	// skew is how far clocks may be apart: certificates are valid from before now.
	skew = 5 * time.Minute
)

// ErrUnusable is returned for certificates and keys that do not serve.
var ErrUnusable = errors.New("the certificate cannot be used")

// Pair is a certificate and its private key, both PEM.
type Pair struct{ Certificate, Key []byte }

// Request is what a certificate is to say.
type Request struct {
	// Server is set for a certificate of a server, otherwise it is of a client.
	Server bool
	// Hosts are DNS names and IP addresses, URI is a name of the other kind.
	Hosts []string
	URI   *url.URL
	// Life is how long it is valid.
	Life time.Duration
}

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// PEM is its certificate, which the others trust.
	PEM []byte
}

// NewAuthority makes a CA.
func NewAuthority(now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the CA's key: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "rutter"}, NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	return sign(template, template, key, key)
}

// Parse reads a CA.
func Parse(p Pair) (*Authority, error) {
	certificate, err := parseCertificate(p.Certificate)
	if err != nil {
		return nil, fmt.Errorf("parse the CA: %w", err)
	}
	key, err := parseKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("parse the CA: %w", err)
	}
	if !certificate.IsCA || !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, fmt.Errorf("parse the CA: %w: it is none, or its key is another's", ErrUnusable)
	}
	return &Authority{certificate: certificate, key: key, PEM: slices.Clone(p.Certificate)}, nil
}

// Issue makes a key, and signs a certificate for it.
func (a *Authority) Issue(r Request, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"rutter"}}, NotBefore: now.Add(-skew), NotAfter: now.Add(r.Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{r.usage()}, BasicConstraintsValid: true,
	}
	template.DNSNames, template.IPAddresses = r.names()
	if r.URI != nil {
		template.URIs = []*url.URL{r.URI}
	}
	return sign(template, a.certificate, key, a.key)
}

// Keep tells whether a pair is still what Issue would make, and not due to be
// renewed: that is after two thirds of its life. until is when it will be.
func (a *Authority) Keep(p Pair, r Request, now time.Time) (until time.Time, keep bool) {
	certificate, err := parseCertificate(p.Certificate)
	if err != nil {
		return time.Time{}, false
	}
	key, err := parseKey(p.Key)
	if err != nil || !key.PublicKey.Equal(certificate.PublicKey) {
		return time.Time{}, false
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{r.usage()}}); err != nil {
		return time.Time{}, false
	}
	names, addresses := r.names()
	if !slices.Equal(certificate.DNSNames, names) || !slices.EqualFunc(certificate.IPAddresses, addresses, net.IP.Equal) {
		return time.Time{}, false
	}
	if uris := certificate.URIs; (r.URI == nil) != (len(uris) == 0) || r.URI != nil && uris[0].String() != r.URI.String() {
		return time.Time{}, false
	}
	until = certificate.NotAfter.Add(-certificate.NotAfter.Sub(certificate.NotBefore) / 3)
	return until, now.Before(until)
}

// Derive is a secret of the CA for a purpose: the same each time, and known to nobody
// who does not have its key.
func (a *Authority) Derive(purpose string) (string, error) {
	const length = 16
	key, err := a.key.Bytes()
	if err == nil {
		key, err = hkdf.Key(sha256.New, key, nil, purpose, length)
	}
	if err != nil {
		return "", fmt.Errorf("derive a secret from the CA: %w", err)
	}
	return hex.EncodeToString(key), nil
}

func (r Request) usage() x509.ExtKeyUsage {
	if r.Server {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}

func (r Request) names() (names []string, addresses []net.IP) {
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, host)
		}
	}
	return names, addresses
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (Pair, error) {
	const serialBits = 120
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return Pair{}, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode a key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%w: it is not PEM", ErrUnusable)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return c, nil
}

func parseKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%w: its key is not PEM", ErrUnusable)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: its key is not an ECDSA key", ErrUnusable)
	}
	return ec, nil
}

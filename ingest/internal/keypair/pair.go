package keypair

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"

	"github.com/rutter-gateway/rutter/events"
)

const certificateBlock = "CERTIFICATE"

// inspect checks that cert (a PEM chain, leaf first) and key (a PEM private
// key: RSA, ECDSA or Ed25519) belong together. What the leaf says about itself
// is filled in even if the pair is bad.
func inspect(cert, key []byte) *events.KeyPair {
	pair := &events.KeyPair{}
	switch {
	case len(bytes.TrimSpace(cert)) == 0:
		pair.Problem = "tls.crt is missing or empty"
		return pair
	case len(bytes.TrimSpace(key)) == 0:
		pair.Problem = "tls.key is missing or empty"
	}
	leaf, problem := chain(cert)
	if leaf != nil {
		sum := sha256.Sum256(leaf.Raw)
		pair.Fingerprint = hex.EncodeToString(sum[:])
		pair.NotBefore, pair.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
		pair.DNSNames = leaf.DNSNames
		switch key := leaf.PublicKey.(type) {
		case *rsa.PublicKey:
			pair.RSABits = key.N.BitLen()
		case *ecdsa.PublicKey:
			if key.Curve == elliptic.P224() { // Envoy would refuse the secret
				pair.Problem = "the key of the certificate is on the curve P-224, which TLS does not have"
			}
		}
	}
	if problem != "" {
		pair.Problem = problem
	}
	if pair.Problem != "" {
		return pair
	}
	// No message of X509KeyPair quotes the key; the worst it names is the type of a PEM block.
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		pair.Problem = "tls.crt and tls.key do not make a key pair: " + err.Error()
	}
	return pair
}

// chain parses every certificate of a PEM chain, since Envoy will. It returns
// the leaf, if that much can be read, and what is wrong.
func chain(data []byte) (leaf *x509.Certificate, problem string) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != certificateBlock {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return leaf, "tls.crt holds a malformed certificate: " + err.Error()
		}
		if leaf == nil {
			leaf = cert
		}
	}
	if leaf == nil {
		return nil, "tls.crt holds no PEM certificate"
	}
	return leaf, ""
}

// certificatesOnly keeps the certificates of a PEM file. People put the private
// key into tls.crt as well ("combined" files); it must not reach the log.
func certificatesOnly(data []byte) []byte {
	var out []byte
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out
		}
		if block.Type == certificateBlock {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: block.Bytes})...)
		}
	}
}

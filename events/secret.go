package events

import "time"

// Secret is how a Secret is recorded: its public part, the verdict on its key
// pair, and the private key sealed to the xDS servers. No private key is ever
// in the log in clear (invariant 6).
type Secret struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Type       string         `json:"type,omitempty"`
	// Data holds the public entries only: tls.crt and ca.crt.
	Data map[string][]byte `json:"data,omitempty"`
	// KeyPair is present where the Secret has a tls.crt or a tls.key.
	KeyPair *KeyPair `json:"keyPair,omitempty"`
}

// KeyPair is what ingest found out about tls.crt and tls.key before it sealed
// the key.
type KeyPair struct {
	// Problem says why the pair cannot be used; empty when it can.
	Problem string `json:"problem,omitempty"`
	// Fingerprint is the SHA-256 of the leaf certificate in hex. Compare this,
	// never SealedKey: sealing is randomised.
	Fingerprint string    `json:"fingerprint,omitempty"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
	DNSNames    []string  `json:"dnsNames,omitempty"`
	// RSABits is the size of an RSA key; 0 of any other.
	RSABits int `json:"rsaBits,omitempty"`
	// SealedKey is the PEM private key, encrypted to Settings.Recipient (age).
	SealedKey []byte `json:"sealedKey,omitempty"`
	// SealedDigest is in the place of SealedKey where that was left out, as in a
	// bundle: the SHA-256 of its base64 text in hex. See [Event.Keyless].
	SealedDigest string `json:"sealedDigest,omitempty"`
}

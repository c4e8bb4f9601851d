// Package keypair turns a Kubernetes Secret into what is recorded of it.
//
//	v1 Secret ──Sealer.Secret──► events.Secret: public chain, verdict, sealed key
//
// It promises that no private key and no entry it does not know leaves it in
// clear (invariant 6): of the data only tls.crt and ca.crt are kept, and tls.key
// is encrypted to the xDS servers' public key with age. The clock is not looked
// at: whether a certificate is valid now is for the fold to say, from
// notBefore and notAfter and the time that the log records.
//
// It refuses to open what it sealed; only the xDS servers hold the identity.
//
// Read secret.go first, then pair.go.
package keypair

import (
	"encoding/json"
	"fmt"

	"filippo.io/age"
	corev1 "k8s.io/api/core/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/internal/sealing"
)

// caCert is the entry that holds certificate authorities, as cert-manager writes
// it and as Gateway API reads it.
const caCert = "ca.crt"

// Sealer seals private keys to one recipient.
type Sealer struct {
	recipient *age.X25519Recipient
}

// NewSealer makes a sealer for an age X25519 public key ("age1…").
func NewSealer(recipient string) (*Sealer, error) {
	parsed, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("parse recipient %q: %w", recipient, err)
	}
	return &Sealer{recipient: parsed}, nil
}

// Secret is the recorded form of a Secret as the API server holds it (data in
// base64, no stringData). A bad key pair is a KeyPair.Problem; the error is for
// a Secret that cannot be read at all and for sealing.
func (s *Sealer) Secret(o map[string]any) (events.Secret, error) {
	out, key, err := public(o)
	if err == nil && out.KeyPair != nil && out.KeyPair.Problem == "" {
		out.KeyPair.SealedKey, err = sealing.Seal(s.recipient, key)
	}
	if err != nil {
		return events.Secret{}, err
	}
	return out, nil
}

// Public is the recorded form of a Secret less the sealed key: what [Hash] is over.
func Public(o map[string]any) (events.Secret, error) {
	out, _, err := public(o)
	return out, err
}

func public(o map[string]any) (out events.Secret, key []byte, err error) {
	data, err := decodeData(o)
	if err != nil {
		return events.Secret{}, nil, err
	}
	out = events.Secret{APIVersion: "v1", Kind: "Secret", Data: map[string][]byte{}}
	out.Metadata, _ = normalize.Object(events.Secrets, o)["metadata"].(map[string]any)
	out.Type, _ = o["type"].(string)
	for _, public := range []string{corev1.TLSCertKey, caCert} {
		if value, ok := data[public]; ok {
			out.Data[public] = certificatesOnly(value)
		}
	}
	cert, hasCert := data[corev1.TLSCertKey]
	key, hasKey := data[corev1.TLSPrivateKeyKey]
	if hasCert || hasKey {
		out.KeyPair = inspect(cert, key)
	}
	return out, key, nil
}

// decodeData reads the data of a Secret. Its error names no value.
func decodeData(o map[string]any) (map[string][]byte, error) {
	raw, err := json.Marshal(o["data"])
	if err != nil {
		return nil, fmt.Errorf("read data of secret: %w", err)
	}
	var data map[string][]byte
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("read data of secret: %w", err)
	}
	return data, nil
}

// Hash tells whether two recorded Secrets say the same, whatever their sealed keys:
// the fingerprint stands for a key, which is sealed only when it belongs to that
// certificate.
func Hash(s events.Secret) (routing.Digest, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return routing.Digest{}, fmt.Errorf("encode secret: %w", err)
	}
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		return routing.Digest{}, fmt.Errorf("decode secret: %w", err)
	}
	return normalize.Hash(o)
}

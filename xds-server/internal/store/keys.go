package store

import (
	"errors"
	"fmt"

	"filippo.io/age"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/internal/sealing"
)

// ErrNoIdentity is returned where a key is sealed and there is nothing to unseal it with.
var ErrNoIdentity = errors.New("no identity to unseal private keys with was configured")

// Keys unseals private keys. The zero value can unseal none.
type Keys struct{ Identity age.Identity }

// Body is the resource as it goes on the wire: as it is stored, and with its
// private key in clear where it has one. Keys are unsealed here, each time, and
// kept nowhere: what is held for long holds none in clear.
func (k Keys) Body(r *Resource) ([]byte, error) {
	if len(r.Sealed) == 0 {
		return r.Body, nil
	}
	key, err := k.unseal(r.Sealed)
	if err != nil {
		return nil, fmt.Errorf("unseal the private key of secret %s: %w", r.Name, err)
	}
	var secret tlsv3.Secret
	if err := proto.Unmarshal(r.Body, &secret); err != nil {
		return nil, fmt.Errorf("read secret %s: %w", r.Name, err)
	}
	certificate := secret.GetTlsCertificate()
	if certificate == nil {
		return nil, fmt.Errorf("read secret %s: it has a private key and no certificate", r.Name)
	}
	certificate.PrivateKey = &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: key}}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&secret)
}

func (k Keys) unseal(sealed []byte) ([]byte, error) {
	if k.Identity == nil {
		return nil, ErrNoIdentity
	}
	return sealing.Open(k.Identity, sealed)
}

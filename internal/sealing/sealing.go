// Package sealing keeps private keys closed wherever they are stored.
//
//	a key in clear ──Seal(recipient)──► what is recorded, published, stored ──Open(identity)──► the key, on the wire to Envoy
//
// What is sealed differs each time, so it says nothing of whether two keys are the same:
// compare fingerprints. Nothing here keeps a key.
package sealing

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"
)

// maxKey bounds a key that is opened, in bytes.
const maxKey = 1 << 20

// Seal closes a key, for whoever has the recipient's identity.
func Seal(recipient age.Recipient, key []byte) ([]byte, error) {
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipient)
	if err == nil {
		_, err = w.Write(key)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("seal private key: %w", err)
	}
	return sealed.Bytes(), nil
}

// Open is the key again.
func Open(identity age.Identity, sealed []byte) ([]byte, error) {
	plain, err := age.Decrypt(bytes.NewReader(sealed), identity)
	if err != nil {
		return nil, err
	}
	key, err := io.ReadAll(io.LimitReader(plain, maxKey+1))
	if err != nil {
		return nil, err
	}
	if len(key) > maxKey {
		return nil, fmt.Errorf("the key is larger than %d bytes", maxKey)
	}
	return key, nil
}

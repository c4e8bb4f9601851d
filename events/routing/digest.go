package routing

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// Digest is a SHA-256, or the sum of many (see [Digest.Add]). As text: 64 hex digits.
type Digest [sha256.Size]byte

// DigestOf is the SHA-256 of the parts, each preceded by its length, so that no
// two lists of parts have the same input.
func DigestOf(parts ...[]byte) Digest {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	return Digest(h.Sum(nil))
}

// Add and Sub make the digest of a set from those of its members: addition
// modulo 2^256, so the order does not matter and a change costs the same however
// large the set is. It detects faults, not an adversary who may choose members.
func (d Digest) Add(o Digest) Digest { return combine(d, o, bits.Add64) }

// Sub undoes [Digest.Add].
func (d Digest) Sub(o Digest) Digest { return combine(d, o, bits.Sub64) }

func combine(d, o Digest, op func(x, y, carry uint64) (uint64, uint64)) Digest {
	var out Digest
	var carry uint64
	for i := 0; i < len(d); i += 8 {
		var word uint64
		word, carry = op(binary.LittleEndian.Uint64(d[i:]), binary.LittleEndian.Uint64(o[i:]), carry)
		binary.LittleEndian.PutUint64(out[i:], word)
	}
	return out
}

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is the first 12 hex digits, for people.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("digest %q does not have %d hex digits", text, 2*len(d))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json/jsontext"
	"slices"
)

// Keyless is the payload with its sealed private key replaced by a digest of it, and
// the payload itself where it has none. It is what the chain over all events is made
// of (fold.State), so that a log whose keys were left out, as in a bundle, has the
// same chain as the log with them.
//
// Keyless of what is keyless is itself.
func (e Event) Keyless() []byte {
	switch {
	case e.Type == TypeVerdict:
		return KeylessVerdict(e.Data)
	case e.Key.Resource == Secrets:
		return KeylessSecret(e.Data)
	}
	return e.Data
}

// KeylessSecret is the recorded form of a Secret with [KeyPair.SealedDigest] in the
// place of SealedKey.
func KeylessSecret(data []byte) []byte { return digested(data, "sealedDigest", "keyPair", "sealedKey") }

// KeylessVerdict is the recorded form of a verdict with [Verdict.LastSealedDigest] in
// the place of LastSealed.
func KeylessVerdict(data []byte) []byte { return digested(data, "lastSealedDigest", "lastSealed") }

// digested is a JSON object in which a member called name, with the digest of the
// text, stands in the place of the string at path. All other bytes stay as they are.
func digested(data []byte, name string, path ...string) []byte {
	from, to, value := member(data, path)
	if value.Kind() != '"' {
		return data
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return data
	}
	sum := sha256.Sum256(text)
	out := append(slices.Clip(data[:from]), `"`+name+`":"`...)
	out = append(hex.AppendEncode(out, sum[:]), '"')
	return append(out, data[to:]...)
}

// member finds the member at path of a JSON object: where its name begins, where its
// value ends, and that value; nil where there is none.
func member(data []byte, path []string) (from, to int, value jsontext.Value) {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	for _, name := range path {
		if d.PeekKind() != '{' {
			return 0, 0, nil
		}
		if _, err := d.ReadToken(); err != nil {
			return 0, 0, nil
		}
		for found := false; !found; {
			if d.PeekKind() != '"' { // it ends, or is no JSON
				return 0, 0, nil
			}
			raw, err := d.ReadValue()
			if err != nil {
				return 0, 0, nil
			}
			from = int(d.InputOffset()) - len(raw)
			if found = string(raw) == `"`+name+`"`; found {
				continue
			}
			if err := d.SkipValue(); err != nil {
				return 0, 0, nil
			}
		}
	}
	value, err := d.ReadValue()
	if err != nil {
		return 0, 0, nil
	}
	return from, int(d.InputOffset()), value
}

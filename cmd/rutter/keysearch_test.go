package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// privateParts are what no form of a private key can do without: its secret numbers, and
// the lines of its PEM that they are in.
func privateParts(t *testing.T, key []byte) [][]byte {
	t.Helper()
	block, _ := pem.Decode(key)
	var parts [][]byte
	if private, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		parts = numbersOf(t, private)
	} else if private, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		parts = numbersOf(t, private)
	} else {
		private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		must(t, err)
		parts = numbersOf(t, private)
	}
	numbers := parts
	for line := range strings.Lines(string(key)) {
		line = strings.TrimSpace(line)
		der, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			continue // where it begins and ends
		}
		at := bytes.Index(block.Bytes, der)
		// Certificates have the public key, which fills lines of its own.
		if len(line) > 40 && slices.ContainsFunc(numbers, func(number []byte) bool {
			begin := bytes.Index(block.Bytes, number)
			return begin < at+len(der) && at < begin+len(number)
		}) {
			parts = append(parts, []byte(line))
		}
	}
	return parts
}

func numbersOf(t *testing.T, private any) [][]byte {
	t.Helper()
	switch private := private.(type) {
	case *rsa.PrivateKey:
		return [][]byte{private.D.Bytes(), private.Primes[0].Bytes(), private.Primes[1].Bytes()}
	case *ecdsa.PrivateKey:
		number, err := private.Bytes()
		must(t, err)
		return [][]byte{number}
	}
	t.Fatalf("nobody knows the numbers of %T", private)
	return nil
}

// forms are a secret as it is, in hex, and in base64 wherever it begins in what is encoded.
func forms(secret []byte) [][]byte {
	lower := hex.EncodeToString(secret)
	out := [][]byte{secret, []byte(lower), []byte(strings.ToUpper(lower))}
	for ahead := range 3 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, ahead), secret...))
			out = append(out, []byte(text[[]int{0, 2, 3}[ahead]:len(text)-4])) // without what depends on the neighbours
		}
	}
	return out
}

// laidOpen is content with all that is packed in it, and again without line breaks.
func laidOpen(t *testing.T, content []byte) []byte {
	t.Helper()
	all := bytes.Clone(content)
	for begin := 0; begin < len(all); { // what is unpacked may hold something packed
		at := bytes.Index(all[begin:], []byte{0x28, 0xb5, 0x2f, 0xfd})
		if at < 0 {
			break
		}
		in, err := zstd.NewReader(bytes.NewReader(all[begin+at:]), zstd.WithDecoderConcurrency(1))
		must(t, err)
		var inner bytes.Buffer
		_, _ = inner.ReadFrom(in) // ends where the frame does, and what follows is none
		in.Close()
		all = append(all, inner.Bytes()...)
		for line := range bytes.Lines(inner.Bytes()) {
			var l struct {
				Data []byte `json:"data_base64"`
			}
			if json.Unmarshal(line, &l) == nil {
				all = append(all, l.Data...)
			}
		}
		begin += at + 4
	}
	joined := strings.NewReplacer("\r", "", "\n", "", `\r`, "", `\n`, "").Replace(string(all))
	return append(all, joined...)
}

// holds tells whether content, laid open, holds a secret in any form.
func holds(open, secret []byte) bool {
	for _, form := range forms(secret) {
		if bytes.Contains(open, form) {
			return true
		}
	}
	return false
}

// The search for keys is worth nothing where it is blind.
func TestTheSearchForKeysFindsThemInEveryForm(t *testing.T) {
	shown, elliptic := gwtest.Certificate(t, "a.example.com")
	_, other := gwtest.Certificate(t, "b.example.com")
	_, primes := weakCertificate(t, "a.example.com")
	for name, key := range map[string][]byte{"EC": elliptic, "RSA": primes} {
		block, _ := pem.Decode(key)
		for ahead := range 3 { // wherever its public key begins
			if holdsKey(t, laidOpen(t, []byte(base64.StdEncoding.EncodeToString(append(make([]byte, ahead), certificateOf(t, shown)...)))), key) {
				t.Errorf("a key (%s) is found in a certificate", name)
			}
		}
		inJSON, err := json.Marshal(map[string]string{"tls.key": string(key)})
		must(t, err)
		inSecret, err := json.Marshal(map[string][]byte{"ca.crt": make([]byte, rand.IntN(3)), "tls.key": key})
		must(t, err)
		numbers := privateParts(t, key)[0]
		for form, content := range map[string][]byte{
			"as PEM": key, "as PEM in JSON": inJSON, "as a Secret has it": inSecret, "as DER": block.Bytes, "in hex": []byte(hex.EncodeToString(block.Bytes)),
			"as DER in base64": []byte(base64.StdEncoding.EncodeToString(block.Bytes)), "as numbers": []byte("x" + string(numbers) + "x"),
			"in base64 for URLs": []byte(base64.RawURLEncoding.EncodeToString(append([]byte("x"), numbers...))),
			"packed":             packed(t, inSecret), "packed twice": packed(t, append([]byte("{}\n"), packed(t, key)...)),
			"packed in a line of a bundle": packed(t, fmt.Appendf(nil, "{\"data_base64\":%q}\n", base64.StdEncoding.EncodeToString(packed(t, inSecret)))),
		} {
			open := laidOpen(t, append([]byte("something ahead\n"), content...))
			if !holdsKey(t, open, key) {
				t.Errorf("a key (%s) is not found %s", name, form)
			}
			if holdsKey(t, open, other) {
				t.Errorf("%s another key is found", form)
			}
		}
	}
}

// holdsKey tells whether content, laid open, holds a part of a private key.
func holdsKey(t *testing.T, open, key []byte) bool {
	t.Helper()
	for _, part := range privateParts(t, key) {
		if holds(open, part) {
			return true
		}
	}
	return false
}

func certificateOf(t *testing.T, chain []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(chain)
	if block == nil {
		t.Fatal("it is no PEM")
	}
	return block.Bytes
}

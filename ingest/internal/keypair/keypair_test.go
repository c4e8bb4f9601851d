package keypair_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
)

// pair is a self-signed certificate that expired long ago, with its key.
type pair struct {
	cert, key []byte
	leaf      *x509.Certificate
}

func newPair(t *testing.T, key crypto.Signer) pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "example.test"},
		DNSNames:  []string{"example.test", "*.example.test"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2020, 4, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		leaf: leaf,
	}
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func secretOf(data map[string][]byte) map[string]any {
	encoded := map[string]any{}
	for name, value := range data {
		encoded[name] = base64.StdEncoding.EncodeToString(value)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
		"metadata": map[string]any{"name": "s", "namespace": "default", "managedFields": []any{}},
		"data":     encoded,
	}
}

func newSealer(t *testing.T) (*keypair.Sealer, *age.X25519Identity) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := keypair.NewSealer(identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return sealer, identity
}

func record(t *testing.T, sealer *keypair.Sealer, data map[string][]byte) events.Secret {
	t.Helper()
	out, err := sealer.Secret(secretOf(data))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryKindOfKeyIsRecordedAndOpensAgain(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealer, identity := newSealer(t)
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey, "ECDSA": ecdsaKey(t), "Ed25519": edKey} {
		p := newPair(t, key)
		got := record(t, sealer, map[string][]byte{"tls.crt": p.cert, "tls.key": p.key})
		if got.KeyPair == nil || got.KeyPair.Problem != "" {
			t.Fatalf("%s: key pair is %+v", name, got.KeyPair)
		}
		sum := sha256.Sum256(p.leaf.Raw)
		if got.KeyPair.Fingerprint != hex.EncodeToString(sum[:]) || !got.KeyPair.NotAfter.Equal(p.leaf.NotAfter) ||
			!got.KeyPair.NotBefore.Equal(p.leaf.NotBefore) || !slices.Equal(got.KeyPair.DNSNames, p.leaf.DNSNames) {
			t.Errorf("%s: recorded %+v", name, got.KeyPair)
		}
		r, err := age.Decrypt(bytes.NewReader(got.KeyPair.SealedKey), identity)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := io.ReadAll(r); err != nil || !bytes.Equal(opened, p.key) {
			t.Errorf("%s: the sealed key does not open to the key: %v", name, err)
		}
	}
}

func TestBadPairsAreAVerdictAndNothingIsSealed(t *testing.T) {
	a, b := newPair(t, ecdsaKey(t)), newPair(t, ecdsaKey(t))
	short, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	onP224 := newPair(t, short)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not a certificate")})
	sealer, _ := newSealer(t)
	for name, c := range map[string]struct {
		cert, key []byte
		problem   string
		leaf      bool
	}{
		"no certificate":     {nil, a.key, "tls.crt is missing or empty", false},
		"no key":             {a.cert, nil, "tls.key is missing or empty", true},
		"blank key":          {a.cert, []byte(" \n"), "tls.key is missing or empty", true},
		"not PEM":            {[]byte("hello"), a.key, "tls.crt holds no PEM certificate", false},
		"key not PEM":        {a.cert, []byte("hello"), "failed to find any PEM data in key input", true},
		"mismatch":           {a.cert, b.key, "private key does not match public key", true},
		"malformed":          {broken, a.key, "tls.crt holds a malformed certificate", false},
		"malformed in chain": {slices.Concat(a.cert, broken), a.key, "tls.crt holds a malformed certificate", true},
		"curve":              {onP224.cert, onP224.key, "curve P-224", true},
		"swapped":            {a.key, a.cert, "tls.crt holds no PEM certificate", false},
	} {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			if c.cert != nil {
				data["tls.crt"] = c.cert
			}
			if c.key != nil {
				data["tls.key"] = c.key
			}
			got := record(t, sealer, data).KeyPair
			if got == nil || !strings.Contains(got.Problem, c.problem) {
				t.Fatalf("got %+v, want problem %q", got, c.problem)
			}
			if got.SealedKey != nil {
				t.Error("the key of a bad pair was sealed")
			}
			if c.leaf != (got.Fingerprint != "") {
				t.Errorf("fingerprint %q", got.Fingerprint)
			}
		})
	}
}

func TestNoPrivateOrUnknownDataIsRecorded(t *testing.T) {
	p := newPair(t, ecdsaKey(t))
	sealer, _ := newSealer(t)
	block, _ := pem.Decode(p.key)
	for name, data := range map[string]map[string][]byte{
		"pair":          {"tls.crt": p.cert, "tls.key": p.key, "ca.crt": p.cert, "password": []byte("hunter2-hunter2")},
		"combined file": {"tls.crt": slices.Concat(p.key, p.cert), "tls.key": p.key, "ca.crt": slices.Concat(p.cert, p.key)},
		"opaque":        {"token": []byte("hunter2-hunter2"), "key.pem": p.key},
		"mismatch":      {"tls.crt": newPair(t, ecdsaKey(t)).cert, "tls.key": p.key},
		"swapped":       {"tls.crt": p.key, "tls.key": p.cert},
		"raw":           {"tls.crt": p.cert, "tls.key": block.Bytes},
	} {
		recorded := record(t, sealer, data)
		out, err := json.Marshal(recorded)
		if err != nil {
			t.Fatal(err)
		}
		text := string(out)
		for field, value := range recorded.Data {
			text += field + string(value)
		}
		secrets := [][]byte{p.key, block.Bytes, bytes.Split(p.key, []byte("\n"))[1], []byte("hunter2-hunter2")}
		for _, secret := range secrets {
			for _, form := range []string{string(secret), base64.StdEncoding.EncodeToString(secret), hex.EncodeToString(secret)} {
				if strings.Contains(text, form) {
					t.Errorf("%s: the record holds secret bytes: %s", name, text)
				}
			}
		}
	}
}

func TestSecretWithoutPairHasNoKeyPair(t *testing.T) {
	sealer, _ := newSealer(t)
	p := newPair(t, ecdsaKey(t))
	got := record(t, sealer, map[string][]byte{"ca.crt": p.cert})
	if got.KeyPair != nil || !bytes.Equal(got.Data["ca.crt"], p.cert) {
		t.Errorf("recorded %+v", got)
	}
}

func TestHashSeesCertificatesAndNotTheSealing(t *testing.T) {
	sealer, _ := newSealer(t)
	hash := func(s events.Secret) routing.Digest {
		t.Helper()
		h, err := keypair.Hash(s)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	key := ecdsaKey(t)
	p := newPair(t, key)
	data := map[string][]byte{"tls.crt": p.cert, "tls.key": p.key}
	a, b := record(t, sealer, data), record(t, sealer, data)
	if bytes.Equal(a.KeyPair.SealedKey, b.KeyPair.SealedKey) {
		t.Fatal("sealing is expected to be randomised")
	}
	b.Metadata["uid"] = "minted"
	if hash(a) != hash(b) {
		t.Error("sealing again, or minting, changes the hash")
	}
	if a.KeyPair.SealedKey == nil {
		t.Error("hashing wrote to the secret")
	}
	if renewed := newPair(t, key); hash(record(t, sealer, map[string][]byte{"tls.crt": renewed.cert, "tls.key": renewed.key})) == hash(a) {
		t.Error("a renewed certificate has the same hash")
	}
}

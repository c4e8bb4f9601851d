package events_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

func TestAPayloadWithoutItsKeyDiffersInTheKeyAlone(t *testing.T) {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" // of "test"
	secret := events.Key{Resource: events.Secrets, Namespace: "shop", Name: "tls"}
	for _, test := range []struct{ name, data, want string }{
		{"a sealed key", `{"kind":"Secret","keyPair":{"fingerprint":"ab","sealedKey":"test"}}`, `{"kind":"Secret","keyPair":{"fingerprint":"ab","sealedDigest":"` + digest + `"}}`},
		{"space and unknown fields stay", `{ "new":[1.0e1, {"sealedKey":"x"}], "keyPair" : {"sealedKey" : "test" , "new":0} }`, `{ "new":[1.0e1, {"sealedKey":"x"}], "keyPair" : {"sealedDigest":"` + digest + `" , "new":0} }`},
		{"a digest stays a digest", `{"keyPair":{"sealedDigest":"` + digest + `"}}`, `{"keyPair":{"sealedDigest":"` + digest + `"}}`},
		{"a name elsewhere is none", `{"metadata":{"annotations":{"sealedKey":"a","keyPair":"{\"sealedKey\":\"b\"}"}},"keyPair":{}}`, `{"metadata":{"annotations":{"sealedKey":"a","keyPair":"{\"sealedKey\":\"b\"}"}},"keyPair":{}}`},
		{"no pair", `{"kind":"Secret"}`, `{"kind":"Secret"}`},
		{"not a string", `{"keyPair":{"sealedKey":null}}`, `{"keyPair":{"sealedKey":null}}`},
		{"no JSON", `{"keyPair":{"sealedKey":"te`, `{"keyPair":{"sealedKey":"te`},
	} {
		e := events.Event{Type: events.ObjectApplied, Key: secret, Data: []byte(test.data)}
		if got := string(e.Keyless()); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if string(e.Data) != test.data {
			t.Errorf("%s: the payload itself was changed", test.name)
		}
		e.Data = e.Keyless()
		if got := string(e.Keyless()); got != test.want {
			t.Errorf("%s: without the key twice: %s", test.name, got)
		}
		e = events.Event{Type: events.ObjectApplied, Key: events.Key{Resource: events.ConfigMaps, Name: "c"}, Data: []byte(test.data)}
		if got := string(e.Keyless()); got != test.data {
			t.Errorf("%s: of a ConfigMap something was left out: %s", test.name, got)
		}
	}
}

func TestAVerdictWithoutItsKeySaysTheSame(t *testing.T) {
	data, err := json.Marshal(events.Verdict{Gateway: "shop/gw", Reason: "weak", LastGood: []byte("body"), LastSealed: []byte("sealed")})
	if err != nil {
		t.Fatal(err)
	}
	keyless := events.Event{Type: events.TypeVerdict, Key: events.Key{Resource: events.Secrets, Name: "tls"}, Data: data}.Keyless()
	var v events.Verdict
	if err := json.Unmarshal(keyless, &v); err != nil {
		t.Fatal(err)
	}
	if v.LastSealed != nil || len(v.LastSealedDigest) != 64 || v.Reason != "weak" || string(v.LastGood) != "body" || strings.Contains(string(keyless), `"lastSealed"`) {
		t.Errorf("got %s", keyless)
	}
}

package events_test

import (
	"encoding/json"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

// What is assigned to an object is no content of it, and neither is how a key was sealed.
func TestContentIsWhatWasWritten(t *testing.T) {
	same := contentOf(t, `{"kind":"Secret","metadata":{"name":"a","uid":"1","resourceVersion":"7","generation":2,"creationTimestamp":"t","managedFields":[{}]},"keyPair":{"fingerprint":"f","sealedKey":"x"}}`)
	if contentOf(t, `{"kind":"Secret","metadata":{"name":"a","uid":"2"},"keyPair":{"fingerprint":"f","sealedKey":"y"}}`) != same {
		t.Error("what is assigned counts")
	}
	for _, other := range []string{
		`{"kind":"Secret","metadata":{"name":"a","labels":{"x":"y"}},"keyPair":{"fingerprint":"f"}}`,
		`{"kind":"Secret","metadata":{"name":"a","deletionTimestamp":"t"},"keyPair":{"fingerprint":"f"}}`,
		`{"kind":"Secret","metadata":{"name":"a"},"keyPair":{"fingerprint":"g"}}`,
		`{"kind":"Secret","metadata":{"name":"a"}}`,
	} {
		if contentOf(t, other) == same {
			t.Errorf("%s is the same", other)
		}
	}
}

func contentOf(t *testing.T, text string) [32]byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	sum, err := events.Content(object)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

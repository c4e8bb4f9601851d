package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// keeps tells whether the private key of a Secret was asked for.
func (x *exporter) keeps(secret events.Key) bool { return slices.Contains(x.Keys, secret) }

// withoutKey is a message of EVENTS with its private key left out. It is an error
// where that leaves one behind.
func (x *exporter) withoutKey(m events.Message) (events.Message, error) {
	if m.Header["ce-type"] != string(events.TypeVerdict) && !strings.HasPrefix(m.Header["ce-subject"], events.Secrets+"/") {
		return m, nil
	}
	e, err := events.Decode(m)
	if err != nil || x.keeps(e.Key) {
		return m, err
	}
	keyless := e.Keyless()
	if holdsKey(keyless) {
		return m, fmt.Errorf("event %d (%s) holds a private key in a form that cannot be left out: leave that event out, by --since and --until", m.Sequence, e.Key)
	}
	if !bytes.Equal(keyless, m.Data) {
		x.summary.Keyless++
		m.Data = keyless
	}
	return m, nil
}

// holdsKey tells whether a payload decodes to something with a key, by the names of
// the fields as a decoder takes them: in any case.
func holdsKey(data []byte) bool {
	var secret events.Secret
	var verdict events.Verdict
	if json.Unmarshal(data, &secret) == nil && json.Unmarshal(data, &verdict) == nil {
		return secret.KeyPair != nil && len(secret.KeyPair.SealedKey) > 0 || len(verdict.LastSealed) > 0
	}
	lower := bytes.ToLower(data)
	return bytes.Contains(lower, []byte("sealedkey")) || bytes.Contains(lower, []byte(`"lastsealed"`))
}

// withoutKeys are the messages of a version, or a receipt, without private keys.
func (x *exporter) withoutKeys(messages []events.Message) ([]events.Message, error) {
	out, err := routing.KeylessMessages(messages, x.keeps)
	if err == nil && !bytes.Equal(out[0].Data, messages[0].Data) {
		x.summary.Keyless += len(out)
	}
	return out, err
}

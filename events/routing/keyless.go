package routing

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// Keyless is the snapshot without the sealed private keys, but for those of the
// Secrets that keep names; the snapshot itself where it has none. No digest covers
// them, so that it adds up to the same.
func (s *Snapshot) Keyless(keep func(secret events.Key) bool) *Snapshot {
	sealed := func(r Resource) bool { return len(r.Sealed) > 0 && !keep(r.Origin) }
	out := s
	for i := range s.Gateways {
		if !slices.ContainsFunc(s.Gateways[i].Changed, sealed) {
			continue
		}
		if out == s {
			copied := *s
			out, copied.Gateways = &copied, slices.Clone(s.Gateways)
		}
		changed := slices.Clone(s.Gateways[i].Changed)
		for j := range changed {
			if sealed(changed[j]) {
				changed[j].Sealed = nil
			}
		}
		out.Gateways[i].Changed = changed
	}
	return out
}

// Keyless is the receipt without the sealed private keys, as is that of a [Snapshot].
func (r *Receipt) Keyless(keep func(secret events.Key) bool) *Receipt {
	sealed := func(f Refusal) bool { return len(f.LastSealed) > 0 && !keep(f.Origin) }
	out := *r
	out.Envoys = slices.Clone(r.Envoys)
	for i := range out.Envoys {
		refused := slices.Clone(out.Envoys[i].Refused)
		for j := range refused {
			if sealed(refused[j]) {
				refused[j].LastSealed = nil
			}
		}
		out.Envoys[i].Refused = refused
	}
	return &out
}

// KeylessMessages are the messages of one whole version, or one receipt, without the
// private keys: as many as before, since each keeps its sequence. Those without any
// are returned as they are, byte for byte.
func KeylessMessages(messages []events.Message, keep func(secret events.Key) bool) ([]events.Message, error) {
	first, data := messages[0], messages[0].Data
	encoding := first.Header[headerEncoding]
	if encoding == "" && len(messages) == 1 && keyless(data) {
		return messages, nil
	}
	data = slices.Clip(data)
	for _, m := range messages[1:] {
		data = append(data, m.Data...)
	}
	in, done, err := unpack(data, encoding)
	if err != nil {
		return nil, err
	}
	defer done()
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(in); err != nil {
		return nil, fmt.Errorf("message %d on %s: %w: %w", first.Sequence, first.Subject, ErrFormat, err)
	}
	if keyless(plain.Bytes()) {
		return messages, nil
	}
	if data, err = keylessData(plain.Bytes(), first.Header[headerVersion] != "", keep); err != nil {
		return nil, fmt.Errorf("message %d on %s: %w", first.Sequence, first.Subject, err)
	}
	if encoding != "" {
		p := &packer{}
		if data, err = p.pack(data); err != nil {
			return nil, err
		}
	}
	out := slices.Clone(messages)
	for i := range out {
		out[i].Data = data[i*len(data)/len(out) : (i+1)*len(data)/len(out)]
	}
	return out, nil
}

// keyless tells whether JSON as it is stored has no private key. The name of a field
// is never part of a text, where quotation marks are escaped.
func keyless(plain []byte) bool {
	return !bytes.Contains(plain, []byte(`"sealed":"`)) && !bytes.Contains(plain, []byte(`"lastSealed":"`))
}

func keylessData(plain []byte, version bool, keep func(secret events.Key) bool) ([]byte, error) {
	var value any
	if version {
		s := &Snapshot{}
		if err := Unmarshal(plain, "", s); err != nil {
			return nil, err
		}
		value = s.Keyless(keep)
	} else {
		r := &Receipt{}
		if err := Unmarshal(plain, "", r); err != nil {
			return nil, err
		}
		value = r.Keyless(keep)
	}
	return marshalPlain(value)
}

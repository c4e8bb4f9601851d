package routing

import (
	"encoding/json"
	jsonv2 "encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/rutter-gateway/rutter/events"
)

// FormatVersion is the version of the stored form of snapshots, checkpoints and
// receipts that this build writes.
const FormatVersion = 1

// ErrFormat is returned for stored bytes that this build cannot read.
var ErrFormat = errors.New("unreadable snapshot format")

// Headers of a snapshot message. A version that does not fit one message is cut
// into chunks, the last of which is the manifest: a reader that has not seen it
// has not seen the version.
const (
	headerFormat   = "rutter-format"
	headerVersion  = "rutter-version"
	headerEncoding = "content-encoding"
	headerChunk    = "rutter-chunk"
	headerChunks   = "rutter-chunks"

	// compressAbove is the size in bytes from which compression pays: below, it
	// costs latency on the way to Envoy and saves nothing that matters.
	compressAbove = 32 << 10
)

// EncodeSnapshot is the stored form: messages of at most maxBytes of data each,
// to be appended atomically and in order.
func EncodeSnapshot(cluster string, s *Snapshot, maxBytes int) ([]events.Message, error) {
	data, encoding, err := Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode version %s: %w", s.Version, err)
	}
	chunks := max(1, (len(data)+maxBytes-1)/maxBytes)
	messages := make([]events.Message, 0, chunks)
	for i := range chunks {
		part := data[i*maxBytes : min(len(data), (i+1)*maxBytes)]
		messages = append(messages, events.Message{
			Subject: events.SnapshotSubject(cluster),
			ID:      fmt.Sprintf("%s/%d", s.Version, i),
			Data:    part,
			Header: map[string]string{
				headerFormat:   strconv.Itoa(FormatVersion),
				headerVersion:  s.Version.String(),
				headerEncoding: encoding,
				headerChunk:    strconv.Itoa(i),
				headerChunks:   strconv.Itoa(chunks),
			},
		})
	}
	return messages, nil
}

// PartOf tells which part of a version a message of SNAPSHOTS is, from 0, and of how
// many: 0 of 1 for one that carries no version.
func PartOf(m events.Message) (index, parts int) {
	index, err1 := strconv.Atoi(m.Header[headerChunk])
	parts, err2 := strconv.Atoi(m.Header[headerChunks])
	if err1 != nil || err2 != nil {
		return 0, 1
	}
	return index, parts
}

// VersionOf is the version of which a message of SNAPSHOTS is a part; zero for none.
func VersionOf(m events.Message) events.Version {
	v, err := events.ParseVersion(m.Header[headerVersion])
	if err != nil {
		return events.Version{}
	}
	return v
}

// Assembler puts the messages of SNAPSHOTS together again.
type Assembler struct {
	chunks []events.Message
}

// Partial tells whether a version has begun and not ended.
func (a *Assembler) Partial() bool { return len(a.chunks) > 0 }

// Add takes the next message of the stream. It returns nil until a version is
// complete, and for messages that carry no version (the guard of the stream).
func (a *Assembler) Add(m events.Message) (*Snapshot, error) {
	if m.Header[headerVersion] == "" {
		return nil, nil
	}
	if format := m.Header[headerFormat]; format != strconv.Itoa(FormatVersion) {
		return nil, fmt.Errorf("%w: message %d on %s has format %q, this build reads %d; use the release that wrote it, or a newer one",
			ErrFormat, m.Sequence, m.Subject, format, FormatVersion)
	}
	index, err1 := strconv.Atoi(m.Header[headerChunk])
	chunks, err2 := strconv.Atoi(m.Header[headerChunks])
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("%w: message %d on %s: %w", ErrFormat, m.Sequence, m.Subject, err)
	}
	if index == 0 {
		a.chunks = a.chunks[:0]
	}
	if index != len(a.chunks) || index >= chunks ||
		index > 0 && a.chunks[0].Header[headerVersion] != m.Header[headerVersion] {
		return nil, fmt.Errorf("%w: message %d on %s: part %d of version %s does not follow", ErrFormat, m.Sequence, m.Subject, index, m.Header[headerVersion])
	}
	a.chunks = append(a.chunks, m)
	if len(a.chunks) < chunks {
		return nil, nil
	}
	var data []byte
	for _, c := range a.chunks {
		data = append(data, c.Data...)
	}
	a.chunks = nil
	s := &Snapshot{}
	if err := Unmarshal(data, m.Header[headerEncoding], s); err != nil {
		return nil, fmt.Errorf("message %d on %s: %w", m.Sequence, m.Subject, err)
	}
	if s.Version.String() != m.Header[headerVersion] {
		return nil, fmt.Errorf("%w: message %d on %s says version %s, its content %s", ErrFormat, m.Sequence, m.Subject, m.Header[headerVersion], s.Version)
	}
	return s, nil
}

// Marshal is v as JSON, compressed where it is large; encoding is "zstd" or "".
func Marshal(v any) (data []byte, encoding string, err error) {
	out := &packer{}
	if err := jsonv2.MarshalWrite(out, v, json.DefaultOptionsV1()); err != nil {
		return nil, "", err
	}
	return out.finish()
}

// marshalPlain is what [Marshal] does not compress.
func marshalPlain(v any) ([]byte, error) { return jsonv2.Marshal(v, json.DefaultOptionsV1()) }

// Unmarshal undoes [Marshal].
func Unmarshal(data []byte, encoding string, v any) error {
	in, done, err := unpack(data, encoding)
	if err != nil {
		return err
	}
	defer done()
	if err := jsonv2.UnmarshalRead(in, v, json.DefaultOptionsV1()); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// EncodeReceipt is the stored form of a receipt.
func EncodeReceipt(cluster string, r *Receipt) (events.Message, error) {
	data, encoding, err := Marshal(r)
	if err != nil {
		return events.Message{}, fmt.Errorf("encode receipt of %s: %w", r.Server, err)
	}
	return events.Message{
		Subject: events.ReceiptSubject(cluster, r.Server),
		Data:    data,
		Header:  map[string]string{headerFormat: strconv.Itoa(FormatVersion), headerEncoding: encoding},
	}, nil
}

// DecodeReceipt undoes [EncodeReceipt].
func DecodeReceipt(m events.Message) (*Receipt, error) {
	if format := m.Header[headerFormat]; format != strconv.Itoa(FormatVersion) {
		return nil, fmt.Errorf("%w: receipt %d has format %q, this build reads %d", ErrFormat, m.Sequence, format, FormatVersion)
	}
	r := &Receipt{}
	if err := Unmarshal(m.Data, m.Header[headerEncoding], r); err != nil {
		return nil, fmt.Errorf("receipt %d: %w", m.Sequence, err)
	}
	return r, nil
}

// headerSequence says of a heartbeat which message of RECEIPTS it repeats.
const headerSequence = "rutter-sequence"

// EncodeHeartbeat repeats a receipt, the one at sequence in RECEIPTS, for those
// who listen now. What only the log needs of it, bodies of resources, is left out.
func EncodeHeartbeat(cluster string, r *Receipt, sequence uint64) (events.Message, error) {
	short := *r
	short.Envoys = slices.Clone(r.Envoys)
	for i := range short.Envoys {
		refused := slices.Clone(short.Envoys[i].Refused)
		for j := range refused {
			refused[j].LastGood, refused[j].LastSealed = nil, nil
		}
		short.Envoys[i].Refused = refused
	}
	m, err := EncodeReceipt(cluster, &short)
	if err != nil {
		return m, err
	}
	m.Subject = events.ReceiptHeartbeatSubject(cluster, r.Server)
	m.Header[headerSequence] = strconv.FormatUint(sequence, 10)
	return m, nil
}

// DecodeHeartbeat undoes [EncodeHeartbeat].
func DecodeHeartbeat(m events.Message) (*Receipt, uint64, error) {
	sequence, err := strconv.ParseUint(m.Header[headerSequence], 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: a heartbeat on %s says no sequence", ErrFormat, m.Subject)
	}
	r, err := DecodeReceipt(m)
	return r, sequence, err
}

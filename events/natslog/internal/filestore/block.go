package filestore

import (
	"bytes"
	"encoding/binary"
	"hash"
)

// A record is: length u32 (top bit: with header), sequence u64 (top bits: erased,
// tombstone), time i64, subject length u16, subject, [header length u32, header],
// data, hash u64. The hash covers all but the three lengths.
const (
	fixedBytes = 22
	hashBytes  = 8
	maxRecord  = 32 << 20

	withHeader = 1 << 31
	erased     = 1 << 63
	tombstone  = 1 << 62
)

// record is one message of a block, or the trace of a removed one.
type record struct {
	sequence uint64
	time     int64
	// removed: the message of that sequence was taken out on purpose.
	removed bool
	// permanent: the message never ages out.
	permanent bool
	length    int
}

var (
	headerBegin = []byte("NATS/1.0")
	headerEnd   = []byte("\r\n\r\n")
	ttlNever    = []byte("Nats-TTL: never\r\n")
)

// parse reads the record that begins at buf; ok is false when it does not check out.
func parse(buf []byte, h hash.Hash64) (r record, ok bool) {
	if len(buf) < fixedBytes+hashBytes {
		return record{}, false
	}
	length := binary.LittleEndian.Uint32(buf)
	hasHeader := length&withHeader != 0
	r.length = int(length &^ withHeader)
	subject := int(binary.LittleEndian.Uint16(buf[20:]))
	covered := fixedBytes + subject // where what the hash covers goes on after the subject
	if hasHeader {
		covered += 4
	}
	if r.length > maxRecord || r.length > len(buf) || covered > r.length-hashBytes {
		return record{}, false
	}
	body := buf[covered : r.length-hashBytes]
	h.Reset()
	h.Write(buf[4:20])
	h.Write(buf[fixedBytes : fixedBytes+subject])
	h.Write(body)
	if !bytes.Equal(h.Sum(nil), buf[r.length-hashBytes:r.length]) {
		return record{}, false
	}
	if hasHeader {
		n := int(binary.LittleEndian.Uint32(buf[covered-4:]))
		if n > len(body) || !bytes.HasPrefix(body, headerBegin) || !bytes.HasSuffix(body[:n], headerEnd) {
			return record{}, false
		}
		r.permanent = bytes.Contains(body[:n], ttlNever)
	}
	r.sequence = binary.LittleEndian.Uint64(buf[4:])
	r.time = int64(binary.LittleEndian.Uint64(buf[12:]))
	r.removed = r.sequence&(erased|tombstone) != 0
	r.sequence &^= erased | tombstone
	return r, true
}

// records hands every sound record of a block to visit. damaged says that bytes
// before the record, or (at the end: a zero record) after the last, are none.
func records(buf []byte, h hash.Hash64, visit func(r record, damaged bool)) {
	damaged := false
	for len(buf) > 0 {
		r, ok := parse(buf, h)
		if !ok {
			damaged = true
			buf = buf[1:] // lengths may be wrong: the next record may begin anywhere
			continue
		}
		visit(r, damaged)
		damaged, buf = false, buf[r.length:]
	}
	if damaged {
		visit(record{}, true)
	}
}

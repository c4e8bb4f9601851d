package bundle

import (
	"encoding/binary"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// FormatVersion is the version of the format that this build writes and reads.
const FormatVersion = 1

// Types of the lines that are no event of Rutter's: the first and the last, a
// checkpoint, and a message of a stream whose messages are no CloudEvents.
const (
	typeHeader     = "dev.rutter.bundle.header"
	typeTrailer    = "dev.rutter.bundle.trailer"
	typeCheckpoint = "dev.rutter.bundle.checkpoint"
	typeMessage    = "dev.rutter.bundle.message"
)

// Header is the first line: what this is.
type Header struct {
	Format int `json:"format"`
	// Created is when, and By the release by which it was written.
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	// Cluster is where the events happened.
	Cluster string `json:"cluster"`
	// Since and Until are the first and the last event that was asked for, in EVENTS.
	Since events.Version `json:"since"`
	Until events.Version `json:"until"`
	// Streams are those that are in it, also where they have no message in the range.
	Streams []StreamHeader `json:"streams"`
	// Keys are the Secrets (namespace/name) whose private keys are in it, sealed; of all
	// others they were left out.
	Keys []string `json:"keys,omitempty"`
}

// StreamHeader names a stream.
type StreamHeader struct {
	Name        string `json:"name"`
	Incarnation string `json:"incarnation"`
}

// trailer is the last line.
type trailer struct {
	Streams []span  `json:"streams"`
	Frames  []frame `json:"frames"`
	// SHA256 is over all bytes ahead of the frame of this line, in hex.
	SHA256 string `json:"sha256"`
}

// span is what there is of a stream. Where that is nothing, First is Last + 1.
type span struct {
	Name  string `json:"name"`
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// frame is where lines are: those of the messages First to Last of a stream, or a
// checkpoint.
type frame struct {
	Stream string `json:"stream,omitempty"`
	First  uint64 `json:"first,omitempty"`
	Last   uint64 `json:"last,omitempty"`
	Bucket string `json:"bucket,omitempty"`
	Name   string `json:"name,omitempty"`
	At     int64  `json:"at"`
	Size   int64  `json:"size"`
}

const (
	// frameBytes is about how much text a frame holds, and frameLines at most how many
	// lines: one batch of a reader.
	frameBytes = 1 << 20
	frameLines = events.MaxBatch
	// maxHeader bounds the first line.
	maxHeader = 1 << 20
)

// The footer is where the trailer begins, in a frame that zstd skips.
const (
	footerMagic  = 0x184D2A5A
	footerMark   = "rutter/1"
	footerLength = 4 + 4 + len(footerMark) + 8
)

func appendFooter(b []byte, at int64) []byte {
	b = binary.LittleEndian.AppendUint32(b, footerMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(footerLength-8))
	b = append(b, footerMark...)
	return binary.LittleEndian.AppendUint64(b, uint64(at))
}

// parseFooter undoes appendFooter; false for what is no footer.
func parseFooter(b []byte) (at int64, ok bool) {
	if len(b) != footerLength || string(appendFooter(nil, 0)[:footerLength-8]) != string(b[:footerLength-8]) {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(b[footerLength-8:])), true
}

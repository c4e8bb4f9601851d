package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/rutter-gateway/rutter/events"
)

// Writer writes a bundle. Use it from one goroutine; after an error it writes
// nothing more. What was written is no bundle before Close.
type Writer struct {
	out        io.Writer
	header     Header
	compressor *zstd.Encoder
	digest     hash.Hash
	written    int64

	// open is the frame that lines are collected for.
	open    frame
	lines   []byte
	trailer trailer
	err     error
}

// NewWriter writes the header; the format is that of this build.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	h.Format = FormatVersion
	compressor, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(4<<20))
	if err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	w := &Writer{out: out, header: h, compressor: compressor, digest: sha256.New()}
	data, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	w.lines = appendData(appendEnvelope([]byte{'{'}, typeHeader, "header", h.Cluster), data)
	w.flush(false)
	return w, w.err
}

// Begin begins with a stream of the header, whose messages from the sequence first
// on are written next.
func (w *Writer) Begin(stream string, first uint64) error {
	if !slices.ContainsFunc(w.header.Streams, func(h StreamHeader) bool { return h.Name == stream }) {
		return w.fail(fmt.Errorf("stream %s is not in the header", stream))
	}
	if slices.ContainsFunc(w.trailer.Streams, func(s span) bool { return s.Name == stream }) {
		return w.fail(fmt.Errorf("stream %s begins twice", stream))
	}
	w.flush(true)
	w.trailer.Streams = append(w.trailer.Streams, span{Name: stream, First: first, Last: first - 1})
	return w.err
}

// Message writes the next message of the stream that was begun last.
func (w *Writer) Message(m events.Message) error {
	if w.err != nil {
		return w.err
	}
	if len(w.trailer.Streams) == 0 {
		return w.fail(errors.New("no stream was begun"))
	}
	s := &w.trailer.Streams[len(w.trailer.Streams)-1]
	if m.Sequence != s.Last+1 {
		return w.fail(fmt.Errorf("message %d of %s follows message %d", m.Sequence, s.Name, s.Last))
	}
	if w.open.Stream == "" {
		w.open = frame{Stream: s.Name, First: m.Sequence}
	}
	w.lines = appendMessage(w.lines, s.Name, w.header.Cluster, m)
	s.Last, w.open.Last = m.Sequence, m.Sequence
	if len(w.lines) >= frameBytes || w.open.Last-w.open.First+1 >= frameLines {
		w.flush(true)
	}
	return w.err
}

// Checkpoint writes what a bucket holds under a name: one line of JSON.
func (w *Writer) Checkpoint(bucket, name string, data []byte) error {
	w.flush(true)
	w.open = frame{Bucket: bucket, Name: name}
	w.lines = appendEnvelope([]byte{'{'}, typeCheckpoint, bucket+"/"+name, w.header.Cluster)
	w.lines = appendString(w.lines, attrBucket, bucket)
	w.lines = appendData(appendString(w.lines, attrName, name), data)
	w.flush(true)
	return w.err
}

// flush writes the lines that were collected as a frame, which the trailer lists or not.
func (w *Writer) flush(listed bool) {
	if len(w.lines) == 0 {
		return
	}
	packed := w.compressor.EncodeAll(w.lines, nil)
	w.open.At, w.open.Size = w.written, int64(len(packed))
	if listed {
		w.trailer.Frames = append(w.trailer.Frames, w.open)
	}
	w.open = frame{}
	if w.lines = w.lines[:0]; cap(w.lines) > 4*frameBytes { // a checkpoint was
		w.lines = nil
	}
	w.write(packed)
}

func (w *Writer) write(data []byte) {
	if w.err != nil {
		return
	}
	n, err := w.out.Write(data)
	w.written += int64(n)
	w.digest.Write(data)
	if err != nil {
		_ = w.fail(err)
	}
}

// Close writes the trailer.
func (w *Writer) Close() error {
	for _, h := range w.header.Streams {
		if !slices.ContainsFunc(w.trailer.Streams, func(s span) bool { return s.Name == h.Name }) {
			return w.fail(fmt.Errorf("stream %s was not begun", h.Name))
		}
	}
	w.flush(true)
	at := w.written
	w.trailer.SHA256 = hex.EncodeToString(w.digest.Sum(nil))
	data, err := json.Marshal(w.trailer)
	if err != nil {
		return w.fail(err)
	}
	w.lines = appendData(appendEnvelope([]byte{'{'}, typeTrailer, "trailer", w.header.Cluster), data)
	w.flush(false)
	w.write(appendFooter(nil, at))
	return w.err
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.written }

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = fmt.Errorf("write bundle: %w", err)
	}
	return w.err
}

// splitLines are the lines of a frame, without their ends.
func splitLines(text []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

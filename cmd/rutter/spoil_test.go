package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// spoil is a recorded history as somebody has spoilt it: with an accident, which leaves
// all else as it was, or on purpose, packed anew with a digest that is right.
func spoil(t *testing.T, how []string) []byte {
	t.Helper()
	whole, err := os.ReadFile("../../replay-tests/histories/grant-revoked/bundle.rutter")
	must(t, err)
	number := func(i int) int {
		n, err := strconv.Atoi(how[i])
		must(t, err)
		return n
	}
	switch how[0] {
	case "whole":
		return whole
	case "begins": // with so many bytes, and nothing follows
		return whole[:number(1)]
	case "lacks": // so many bytes at the end
		return whole[:len(whole)-number(1)]
	case "altered": // in the byte at so many
		whole[number(1)] ^= 1
		return whole
	case "repacked":
		return packed(t, unpacked(t, whole))
	case "unpacked":
		return unpacked(t, whole)
	}
	f := newForgery(t, whole)
	switch how[0] {
	case "format":
		f.header = bytes.Replace(f.header, []byte(`"format":1`), fmt.Appendf(nil, `"format":%d`, number(1)), 1)
	case "exchanged": // two events, which keep their numbers
		f.events[number(1)-1], f.events[number(2)-1] = f.events[number(2)-1], f.events[number(1)-1]
	case "moved": // two events exchanged, with the numbers of their new places
		one, two := f.events[number(1)-1], f.events[number(2)-1]
		f.events[number(1)-1], f.events[number(2)-1] = numbered(two, number(2), number(1)), numbered(one, number(1), number(2))
	case "lost": // an event
		f.events = slices.Delete(f.events, number(1)-1, number(1))
	case "replaced": // a text in all events
		for i := range f.events {
			f.events[i] = bytes.ReplaceAll(f.events[i], []byte(how[1]), []byte(how[2]))
		}
	default:
		t.Fatalf("nobody knows how to have it %s", how[0])
	}
	return f.file(t)
}

func numbered(line []byte, from, to int) []byte {
	return bytes.Replace(line, fmt.Appendf(nil, `"sequence":"%d"`, from), fmt.Appendf(nil, `"sequence":"%d"`, to), 1)
}

// forgery is a bundle that is taken apart, with the lines of EVENTS.
type forgery struct {
	header  []byte
	events  [][]byte
	trailer map[string]any
	frames  []forgedFrame
}

type forgedFrame struct {
	said map[string]any // in the trailer
	text []byte
}

const footerBytes = 24

func newForgery(t *testing.T, whole []byte) *forgery {
	t.Helper()
	at := binary.LittleEndian.Uint64(whole[len(whole)-8:])
	f := &forgery{}
	must(t, json.Unmarshal(unpacked(t, whole[at:len(whole)-footerBytes]), &f.trailer))
	first := at
	for _, said := range f.data()["frames"].([]any) {
		said := said.(map[string]any)
		begins, size := uint64(said["at"].(float64)), uint64(said["size"].(float64))
		first = min(first, begins)
		f.frames = append(f.frames, forgedFrame{said, unpacked(t, whole[begins:begins+size])})
	}
	slices.SortFunc(f.frames, func(a, b forgedFrame) int { return cmp.Compare(a.said["at"].(float64), b.said["at"].(float64)) })
	f.header = unpacked(t, whole[:first])
	for _, frame := range f.frames {
		if frame.said["stream"] == "EVENTS" {
			f.events = append(f.events, bytes.SplitAfter(bytes.TrimSuffix(frame.text, []byte("\n")), []byte("\n"))...)
		}
	}
	last := len(f.events) - 1
	f.events[last] = append(slices.Clip(f.events[last]), '\n')
	return f
}

func (f *forgery) data() map[string]any { return f.trailer["data"].(map[string]any) }

// file packs it again, with what the trailer says about places and bytes as it is now.
func (f *forgery) file(t *testing.T) []byte {
	t.Helper()
	out := packed(t, f.header)
	var frames []any
	for _, frame := range f.frames {
		text := frame.text
		if frame.said["stream"] == "EVENTS" {
			text = bytes.Join(f.events, nil)
		}
		content := packed(t, text)
		frame.said["at"], frame.said["size"] = len(out), len(content)
		frames = append(frames, frame.said)
		out = append(out, content...)
	}
	digest := sha256.Sum256(out)
	f.data()["frames"], f.data()["sha256"] = frames, hex.EncodeToString(digest[:])
	last, err := json.Marshal(f.trailer)
	must(t, err)
	at := len(out)
	out = append(out, packed(t, append(last, '\n'))...)
	out = binary.LittleEndian.AppendUint32(out, 0x184D2A5A) // a frame that zstd skips
	out = binary.LittleEndian.AppendUint32(out, footerBytes-8)
	out = append(out, "rutter/1"...)
	return binary.LittleEndian.AppendUint64(out, uint64(at))
}

func packed(t *testing.T, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	must(t, err)
	defer w.Close()
	return w.EncodeAll(text, nil)
}

func unpacked(t *testing.T, content []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(nil)
	must(t, err)
	defer r.Close()
	text, err := r.DecodeAll(content, nil)
	must(t, err)
	return text
}

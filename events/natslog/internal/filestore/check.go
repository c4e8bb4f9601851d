package filestore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"
)

// Damage says what of a stream is lost or altered.
type Damage struct { //nolint:errname // it reads as what it is: a *filestore.Damage
	Stream string
	// File is relative to the directory of the stream; empty when that is gone.
	File string
	// First and Last are the sequences that are lost; 0 when no message is.
	First, Last uint64
}

// Error implements error.
func (d *Damage) Error() string {
	switch {
	case d.File == "":
		return fmt.Sprintf("stream %s is missing", d.Stream)
	case d.First == 0:
		return fmt.Sprintf("stream %s: %s is damaged", d.Stream, d.File)
	case d.First == d.Last:
		return fmt.Sprintf("stream %s: 1 message is damaged in %s (sequence %d)", d.Stream, d.File, d.First)
	default:
		return fmt.Sprintf("stream %s: %d messages are damaged in %s (sequences %d–%d)", d.Stream, d.Last-d.First+1, d.File, d.First, d.Last)
	}
}

// Check reads every stream of the data directory dir, and returns the first
// *[Damage], or an error of reading. now is for what MaxAge has removed.
func Check(dir string, now time.Time) error {
	marks, err := readMarks(dir)
	if err != nil {
		return err
	}
	streams := filepath.Join(dir, "jetstream", "$G", "streams")
	entries, err := os.ReadDir(streams)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") { // half deleted
			continue
		}
		mark := marks[e.Name()]
		delete(marks, e.Name())
		if err := checkStream(filepath.Join(streams, e.Name()), e.Name(), mark, now); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		return &Damage{Stream: name}
	}
	return nil
}

// meta is what is needed of meta.inf.
type meta struct {
	Created    time.Time     `json:"created"`
	MaxAge     time.Duration `json:"max_age"`
	Discard    string        `json:"discard"`
	MaxPer     int64         `json:"max_msgs_per_subject"`
	RollupHdrs bool          `json:"allow_rollup_hdrs"`
}

func checkStream(dir, name string, mark Mark, now time.Time) error {
	m, err := readMeta(dir, newHash(name))
	if err != nil {
		return err
	}
	if m == nil {
		return &Damage{Stream: name, File: "meta.inf"}
	}
	if !mark.Created.Equal(m.Created) {
		mark = Mark{}
	}
	w := walk{stream: name, keepsAll: m.MaxPer <= 0 && !m.RollupHdrs, onlyAged: true}
	if m.MaxAge > 0 {
		w.aged = now.Add(-m.MaxAge).UnixNano()
	}
	if w.keepsAll && m.Discard != "old" && mark.FirstTime.UnixNano() > w.aged {
		w.begin = mark.First
	}
	blocks, err := blocksOf(dir)
	if err != nil {
		return err
	}
	for i, index := range blocks {
		w.file, w.absent = blockFile(index), ""
		if i > 0 && index > blocks[i-1]+1 {
			w.absent = blockFile(blocks[i-1] + 1)
		}
		buf, err := os.ReadFile(filepath.Join(dir, w.file))
		if err != nil {
			return err
		}
		records(buf, newHash(fmt.Sprintf("%s-%d", name, index)), w.visit)
		if w.damage != nil {
			return w.damage
		}
	}
	return w.end(mark)
}

func blockFile(index int) string { return filepath.Join("msgs", strconv.Itoa(index)+".blk") }

// newHash is the server's checksum, keyed by what it is of.
func newHash(of string) hash.Hash64 {
	key := sha256.Sum256([]byte(of))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(fmt.Sprintf("filestore: a key has 32 bytes: %v", err))
	}
	return h
}

// readMeta is nil when the file or its checksum is missing or does not match.
func readMeta(dir string, h hash.Hash64) (*meta, error) {
	data, err1 := os.ReadFile(filepath.Join(dir, "meta.inf"))
	sum, err2 := os.ReadFile(filepath.Join(dir, "meta.sum"))
	if errors.Is(err1, fs.ErrNotExist) || errors.Is(err2, fs.ErrNotExist) {
		return nil, nil
	}
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	h.Reset()
	h.Write(data)
	m := &meta{}
	if hex.EncodeToString(h.Sum(nil)) != string(sum) || json.Unmarshal(data, m) != nil {
		return nil, nil
	}
	return m, nil
}

func blocksOf(dir string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "msgs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var blocks []int
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), ".blk")
		if index, err := strconv.Atoi(number); ok && err == nil {
			blocks = append(blocks, index)
		}
	}
	slices.Sort(blocks)
	return blocks, nil
}

// walk follows the sequences of a stream through its blocks.
type walk struct {
	stream string
	// keepsAll: messages are removed by age or size only, oldest first.
	keepsAll bool
	// aged is the time up to which messages may have aged out; onlyAged says that
	// nothing later, but what is permanent, was met so far: a hole after that is
	// the work of retention.
	aged     int64
	onlyAged bool

	// begin is a sequence that must be there; 0 when retention may have removed any.
	begin uint64

	file   string // the block being read
	absent string // the block that should lie before it
	torn   string // the block that ended in bytes that are no record
	last   uint64
	damage *Damage
}

// visit takes the next sound record, or (of no length) the end of a block that
// is none.
func (w *walk) visit(r record, damaged bool) {
	if r.length == 0 && w.torn == "" {
		w.torn = w.file
	}
	if w.damage != nil || r.length == 0 {
		return
	}
	file := cmp.Or(w.torn, w.absent, w.file)
	damaged = damaged || w.torn != "" // a record follows: it was no unfinished end
	w.absent = ""

	lost := &Damage{Stream: w.stream, File: file}
	switch {
	case w.last > 0 && r.sequence > w.last+1 && !r.removed:
		lost.First, lost.Last = w.last+1, r.sequence-1
		damaged = damaged || w.keepsAll && !w.onlyAged
	case w.last == 0 && w.begin > 0 && r.sequence > w.begin && !r.removed:
		lost.First, lost.Last = w.begin, r.sequence-1
		damaged = true
	}
	if damaged {
		w.damage = lost
	}
	w.last = max(w.last, r.sequence)
	w.onlyAged = w.onlyAged && (r.permanent || r.removed || r.time <= w.aged)
}

// end compares with how far the stream had come.
func (w *walk) end(mark Mark) error {
	if w.last < mark.Last {
		return &Damage{Stream: w.stream, File: cmp.Or(w.torn, w.file, "msgs"), First: w.last + 1, Last: mark.Last}
	}
	return nil
}

package bundle

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// File is an open bundle. It is safe for concurrent use.
type File struct {
	path    string
	file    *os.File
	header  Header
	trailer trailer
	// unpacker of frames; it is for one at a time.
	mu       sync.Mutex
	unpacker *zstd.Decoder
	streams  map[string]*stream
	closed   chan struct{}
	once     sync.Once
}

// maxFrame bounds what a frame holds: a checkpoint is one.
const maxFrame = 4 << 30

// Open reads the header and the trailer, and holds the whole file against its digest.
// The error says in one line what is wrong with it, and what to do.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	unpacker, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err == nil {
		f := &File{path: path, file: file, unpacker: unpacker, streams: map[string]*stream{}, closed: make(chan struct{})}
		if err = f.open(); err == nil {
			return f, nil
		}
		unpacker.Close()
	}
	_ = file.Close() // the error that counts is err
	return nil, fmt.Errorf("bundle %s: %w", path, err)
}

// What can be wrong with a file. Each says what to do.
var (
	errNoBundle = errors.New("it is no bundle: `rutter export` writes them")
	errCutOff   = errors.New("it is cut off, or was packed anew by another program: copy it again, or export it again")
	errAltered  = errors.New("it was altered since it was written, its content does not match its digest: copy it again, or export it again")
)

func (f *File) open() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 && info.Mode().IsRegular() {
		return errCutOff
	}
	end := info.Size() - int64(footerLength)
	footer, err := f.bytes(end, int64(footerLength))
	at, ok := parseFooter(footer)
	ok = ok && err == nil && at >= 0 && at < end
	switch err := f.readHeader(); {
	case errors.Is(err, errNoBundle) && ok:
		return errAltered
	case err != nil:
		return err
	case !ok:
		return errCutOff
	}
	if err := f.readTrailer(at, end-at); err != nil {
		return errAltered
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, io.NewSectionReader(f.file, 0, at)); err != nil {
		return err
	}
	if hex.EncodeToString(digest.Sum(nil)) != f.trailer.SHA256 {
		return errAltered
	}
	return f.arrange()
}

// readHeader reads the first line as it comes, because nothing else is known yet.
func (f *File) readHeader() error {
	in, err := zstd.NewReader(io.NewSectionReader(f.file, 0, 1<<40), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := bufio.NewReader(io.LimitReader(in, maxHeader)).ReadBytes('\n')
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	if err != nil {
		return errNoBundle
	}
	l, err := parseLine(text)
	if err != nil || l.kind != typeHeader || json.Unmarshal(l.data, &f.header) != nil {
		return errNoBundle
	}
	if f.header.Format != FormatVersion {
		return fmt.Errorf("it has format %d, and this build reads %d: use the release that wrote it (%s), or a newer one", f.header.Format, FormatVersion, f.header.By)
	}
	return nil
}

func (f *File) readTrailer(at, size int64) error {
	text, err := f.unpack(frame{At: at, Size: size})
	if err != nil {
		return err
	}
	l, err := parseLine(text)
	if err != nil {
		return err
	}
	if l.kind != typeTrailer {
		return errNoLine
	}
	return json.Unmarshal(l.data, &f.trailer)
}

// arrange holds the frames against what the trailer says of the streams.
func (f *File) arrange() error {
	for _, h := range f.header.Streams {
		i := slices.IndexFunc(f.trailer.Streams, func(s span) bool { return s.Name == h.Name })
		if i < 0 {
			return errAltered
		}
		s := &stream{file: f, name: h.Name, incarnation: h.Incarnation, span: f.trailer.Streams[i]}
		next := s.span.First
		for _, fr := range f.trailer.Frames {
			if fr.Stream != h.Name {
				continue
			}
			if fr.First != next || fr.Last < fr.First {
				return fmt.Errorf("its frames of %s are in disorder at message %d: export it again", h.Name, next)
			}
			next = fr.Last + 1
			s.frames = append(s.frames, fr)
		}
		if next != s.span.Last+1 {
			return fmt.Errorf("it lacks the messages %d to %d of %s: export it again", next, s.span.Last, h.Name)
		}
		f.streams[h.Name] = s
	}
	return nil
}

// Header is what the bundle says of itself.
func (f *File) Header() Header { return f.header }

// unpack is the text of a frame.
func (f *File) unpack(fr frame) ([]byte, error) {
	packed, err := f.bytes(fr.At, fr.Size)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unpacker.DecodeAll(packed, nil)
}

func (f *File) bytes(at, size int64) ([]byte, error) {
	if at < 0 || size < 0 {
		return nil, io.ErrUnexpectedEOF
	}
	out := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f.file, at, size), out)
	return out, err
}

// Close implements [events.Log].
func (f *File) Close() {
	f.once.Do(func() {
		close(f.closed)
		_ = f.file.Close() // it was only read
		f.mu.Lock()
		defer f.mu.Unlock()
		f.unpacker.Close()
	})
}

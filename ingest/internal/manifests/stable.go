package manifests

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// errBusy: somebody may be writing the file; try again.
var errBusy = errors.New("the file is being written")

// errNoLease: this file system or platform cannot tell whether a file is open
// for writing.
var errNoLease = errors.New("leases are not supported")

const (
	// quiet is how long a file must not have changed where leases are not supported.
	quiet = 25 * time.Millisecond
	// maxFile bounds what is read into memory.
	maxFile = 256 << 20
)

// look is what a file looked like since a moment.
type look struct {
	info fs.FileInfo // nil: it was not looked at yet
	at   time.Time
}

// again is the next look at a file.
func (l look) again(info fs.FileInfo, now time.Time) look {
	if l.info != nil && sameFile(l.info, info) {
		return l
	}
	return look{info: info, at: now}
}

// settled tells whether nobody seems to write the file any more.
func (l look) settled(now time.Time) bool {
	return now.Sub(l.info.ModTime()) >= quiet || now.Sub(l.at) >= quiet
}

// readStable reads a file that nobody is writing. lease takes a lease until the
// file is closed, or says errBusy or errNoLease. before is what the last attempt
// saw; it matters only without leases. The error is errBusy if it
// must be tried again, fs.ErrNotExist if there is no such file (a directory or a
// pipe is none either).
func readStable(path string, lease func(*os.File) error, before look, now time.Time) ([]byte, look, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, look{}, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, look{}, fs.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, look{}, err
	}
	defer f.Close() // gives a lease back
	unleased := lease(f)
	// With a lease, who opens the file for writing waits for us from here on.
	if info, err = f.Stat(); err != nil {
		return nil, look{}, err
	}
	seen := before.again(info, now)
	if errors.Is(unleased, errBusy) || unleased != nil && !seen.settled(now) {
		return nil, seen, errBusy
	}
	if info.Size() > maxFile {
		return nil, seen, fmt.Errorf("the file is larger than %d bytes", int64(maxFile))
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, seen, err
	}
	if unleased != nil {
		if after, err := os.Stat(path); err != nil || !sameFile(info, after) {
			return nil, look{}, errBusy
		}
	}
	return data, seen, nil
}

// sameFile tells whether two looks at a path show the same file, unchanged.
func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

package manifests

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
)

const (
	// firstPause and longestPause are the times between two looks at a file that
	// is being written.
	firstPause   = 250 * time.Microsecond
	longestPause = 10 * time.Millisecond
	// longWrite is when to say that a file is held open for long.
	longWrite = 5 * time.Second
	// racy: a file read so soon after it was written may change once more without
	// looking different.
	racy = 20 * time.Millisecond
)

// attempt is a file that is to be read.
type attempt struct {
	at     time.Time // when to try
	since  time.Time
	pause  time.Duration
	seen   look
	warned bool
}

// touch asks for a file to be read now.
func (r *Reader) touch(name string, now time.Time) {
	if a, ok := r.pending[name]; ok {
		a.at = now
		return
	}
	r.pending[name] = &attempt{at: now, since: now, pause: firstPause}
}

// read tries to read a file; there is nothing to decode in one that is gone, or
// cannot be read.
func (r *Reader) read(name string, a *attempt, now time.Time) (data []byte, ok bool) {
	content, seen, err := readStable(r.tree.path(name), r.lease, a.seen, now)
	if errors.Is(err, errBusy) {
		a.seen = seen
		a.at = now.Add(a.pause)
		a.pause = min(2*a.pause, longestPause)
		if now.Sub(a.since) > longWrite && !a.warned {
			a.warned = true
			r.logger.Warn("a manifest is held open for writing; its last good content stays in force", "name", name)
		}
		return nil, false
	}
	delete(r.pending, name)
	switch {
	case err == nil:
		r.stamps[name] = seen.info
		if now.Sub(seen.info.ModTime()) < racy {
			r.stamps[name] = nil
		}
		return content, true
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		r.ready[name] = update{path: name}
		delete(r.stamps, name)
	default:
		r.ready[name] = update{path: name, failure: reason(err)}
		r.stamps[name] = nil
	}
	return nil, false
}

// reason is an error without the absolute path in it.
func reason(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Op + ": " + at.Err.Error()
	}
	return err.Error()
}

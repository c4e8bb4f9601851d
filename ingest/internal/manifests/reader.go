package manifests

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Config says what to read.
type Config struct {
	// Dir is the directory. It must exist.
	Dir string
	// Settle is how long an object must have been gone to count as deleted, since
	// editors remove a file to write it again. Nothing else waits for it. The zero
	// value means DefaultSettle.
	Settle time.Duration
	// Recorded is what was in force before. With it, the first Changes holds the
	// difference to it; without, everything.
	Recorded []Recorded
	// Accepted is what Reader.Accepted of this same build returned: those documents
	// are not validated again.
	Accepted []Accepted
	Logger   *slog.Logger
}

// DefaultSettle is the settle time where none is configured.
const DefaultSettle = 150 * time.Millisecond

const (
	// patience is how long the first Next waits for files that are being written.
	patience = time.Second
	// missingPause and brokenPause are when to look again for a root that is
	// missing and at a directory that cannot be read. Events usually come first.
	missingPause = 250 * time.Millisecond
	brokenPause  = 5 * time.Second
	// eventBuffer is how many events wait for Next outside the kernel.
	eventBuffer = 4096
)

// Reader reads a directory of manifests and follows its changes. It is for one
// goroutine.
type Reader struct {
	logger  *slog.Logger
	tree    *tree
	set     *set
	decoder *decoder
	lease   func(*os.File) error

	opened  time.Time
	started bool                   // Next has returned once
	scanAt  time.Time              // when to scan the tree; zero: not needed
	broken  map[string]error       // directories that cannot be read
	pending map[string]*attempt    // files to read
	ready   map[string]update      // files that were read and not applied
	rest    Changes                // what was applied and not handed on
	stamps  map[string]fs.FileInfo // how files looked when read; nil: not to be relied on
}

// Open starts to watch a directory. Close the reader when done.
func Open(cfg Config) (*Reader, error) {
	if cfg.Logger == nil {
		return nil, errors.New("open manifests: no logger")
	}
	if cfg.Settle <= 0 {
		cfg.Settle = DefaultSettle
	}
	root, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	if info, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("open manifests: %s is not a directory", cfg.Dir)
	}
	decoder, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	known, err := newSet(cfg.Settle, cfg.Recorded, cfg.Accepted)
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	watcher, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		return nil, fmt.Errorf("open manifests: watch files: %w", err)
	}
	now := time.Now()
	r := &Reader{
		logger: cfg.Logger, decoder: decoder, lease: lease,
		tree:   &tree{root: root, watcher: watcher},
		set:    known,
		opened: now, scanAt: now,
		pending: map[string]*attempt{}, ready: map[string]update{}, stamps: map[string]fs.FileInfo{},
	}
	for _, recorded := range cfg.Recorded {
		r.touch(recorded.File, now)
	}
	return r, nil
}

// Close ends the watching.
func (r *Reader) Close() error { return r.tree.watcher.Close() }

// Problems are all that there are at the moment, in the order of the files.
func (r *Reader) Problems() []Problem { return r.set.problems() }

// Accepted are the documents in the directory that are accepted, sorted by Text.
func (r *Reader) Accepted() []Accepted { return r.set.acceptedNow() }

// Next returns the content of the directory on its first calls, until there is no
// [Changes.More], and waits for the next changes on the others. A file that is being written is left out until it
// is whole; the first call waits for such files for a second and then reports
// them as problems. The error is that of ctx, or says that watching broke down.
func (r *Reader) Next(ctx context.Context) (Changes, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Changes{}, err
		}
		first := !r.started
		if r.rest.Empty() {
			r.rest = r.step(time.Now())
		}
		if r.started && (first || !r.rest.Empty()) {
			return r.part()
		}
		if err := r.wait(ctx); err != nil {
			return Changes{}, err
		}
	}
}

// step does what is due.
func (r *Reader) step(now time.Time) Changes {
	if !r.scanAt.IsZero() && !r.scanAt.After(now) {
		r.scan(now)
	}
	r.readPending(now)
	if !r.started {
		if len(r.pending) > 0 && now.Sub(r.opened) < patience {
			return Changes{}
		}
		for name := range r.pending {
			r.ready[name] = update{path: name, failure: errBusy.Error()}
		}
	}
	changes := r.apply(now)
	for name := range r.set.wanted {
		r.touch(name, now)
	}
	clear(r.set.wanted)
	if !r.started {
		// All there was has been compared with what was accepted; these maps were large.
		r.started, r.set.accepted = true, nil
		r.ready, r.pending = map[string]update{}, maps.Clone(r.pending)
	}
	return changes
}

// apply puts what was read in force.
func (r *Reader) apply(now time.Time) Changes {
	updates := slices.Collect(maps.Values(r.ready))
	clear(r.ready)
	if due, pending := r.set.deadline(); pending && !due.After(now) {
		r.checkRoot(now)
	} else if len(updates) == 0 {
		return Changes{}
	}
	return r.set.apply(updates, now)
}

// checkRoot puts deletions off while the root is missing: somebody is replacing
// it, and it is not an empty one.
func (r *Reader) checkRoot(now time.Time) {
	_, err := os.Stat(r.tree.root)
	if err == nil && r.broken["."] == nil {
		return
	}
	r.set.postpone(now)
	if r.scanAt.IsZero() {
		r.scanAt = now.Add(missingPause)
	}
}

// scan compares the tree with what was read.
func (r *Reader) scan(now time.Time) {
	found := r.tree.scan()
	for name, info := range found.files {
		if stamp := r.stamps[name]; stamp == nil || !sameFile(stamp, info) {
			r.touch(name, now)
		}
	}
	for name := range r.stamps {
		if _, ok := found.files[name]; !ok {
			r.touch(name, now)
		}
	}
	for name := range r.broken {
		if found.broken[name] == nil {
			r.ready[name] = update{path: name}
		}
	}
	for name, err := range found.broken {
		r.ready[name] = update{path: name, failure: reason(err)}
	}
	r.broken, r.scanAt = found.broken, time.Time{}
	switch {
	case found.broken["."] != nil:
		r.scanAt = now.Add(missingPause)
	case len(found.broken) > 0:
		r.scanAt = now.Add(brokenPause)
	}
}

// wait returns when something is due or has happened.
func (r *Reader) wait(ctx context.Context) error {
	var timeout <-chan time.Time
	if at := r.next(); !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout:
	case event, ok := <-r.tree.watcher.Events:
		if !ok {
			return fsnotify.ErrClosed
		}
		r.handle(event)
	case err, ok := <-r.tree.watcher.Errors:
		if !ok {
			return fsnotify.ErrClosed
		}
		// Events may be lost (fsnotify.ErrEventOverflow): look at everything.
		r.logger.Warn("watching manifests was interrupted; all of them are looked at again", "error", err)
		r.scanAt = time.Now()
	}
	for { // what has already happened belongs to the same batch
		select {
		case event, ok := <-r.tree.watcher.Events:
			if !ok {
				return fsnotify.ErrClosed
			}
			r.handle(event)
		default:
			return nil
		}
	}
}

func (r *Reader) handle(event fsnotify.Event) {
	now := time.Now()
	file, rescan := r.tree.affected(event)
	if file != "" {
		r.touch(file, now)
	}
	if rescan {
		r.scanAt = now
	}
}

// next is when something is due; zero if nothing is.
func (r *Reader) next() time.Time {
	at, _ := r.set.deadline()
	earlier := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	earlier(r.scanAt)
	for _, a := range r.pending {
		earlier(a.at)
	}
	return at
}

package history

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// settle is how long after an event it is clear that no version comes of it (what
// changes nothing is never published), and that nobody was seen asking for it.
const settle = time.Second

// Follow hands the entries of interest to take, those that are there and then
// those to come, until ctx ends, which is no error. An entry waits for the version
// that it leads to.
func (h *History) Follow(ctx context.Context, q Query, take func(*Entry) error) error {
	follower, err := routing.Follow(ctx, h.snapshots, h.bucket)
	if err != nil {
		return err
	}
	defer follower.Close()
	state, err := follower.Load(ctx)
	if err != nil {
		return err
	}
	asking, watched, err := h.asking(ctx)
	if err != nil {
		return err
	}
	defer asking.Close()
	past, journal, last, err := h.entries(ctx, q)
	if err != nil {
		return err
	}
	for _, e := range past {
		if err := take(e); err != nil {
			return err
		}
	}
	reader := h.events.Reader(last + 1)
	defer reader.Close()
	live := &live{journal: journal, read: last, causes: causes{entries: map[uint64]*Entry{}, state: state}, actors: actors{}, watched: watched, take: take}
	return live.run(ctx, reader, asking, follower)
}

// asking reads who asks for changes from now on, and shortly before. watched tells
// whether anybody ever looked.
func (h *History) asking(ctx context.Context) (reader events.Reader, watched bool, err error) {
	if h.actors == nil {
		return nobody{}, false, nil
	}
	info, err := h.actors.Info(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("read ACTORS: %w", err)
	}
	from, err := h.firstStored(ctx, time.Now().Add(-Nearby), info)
	if err != nil {
		return nil, false, err
	}
	return h.actors.Reader(from), info.Last > 0, nil
}

// nobody is a reader of a stream that there is not.
type nobody struct{}

func (nobody) Next(ctx context.Context) ([]events.Message, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (nobody) Close() {}

// live holds the entries that are not told yet, oldest first.
type live struct {
	journal *journal
	causes  causes
	actors  actors
	// recent are who were seen lately: mostly ahead of what they asked for.
	recent  []recent
	watched bool
	take    func(*Entry) error
	waiting []waiting
	// read is the last event read. Versions beyond it are early: they wait.
	read  uint64
	early []*routing.Snapshot
}

type recent struct {
	seen *events.ActorObserved
	at   time.Time
	read time.Time
}

// maxRecent bounds how many are remembered, none longer than Nearby.
const maxRecent = 10_000

type waiting struct {
	entry *Entry
	since time.Time
}

func (l *live) run(ctx context.Context, reader, asking events.Reader, follower *routing.Follower) error {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	messages, asked, snapshots, failed := make(chan []events.Message), make(chan []events.Message), make(chan []*routing.Snapshot), make(chan error, 3)
	readers.Go(func() { pump(ctx, reader.Next, messages, failed) })
	readers.Go(func() { pump(ctx, asking.Next, asked, failed) })
	readers.Go(func() { pump(ctx, follower.Next, snapshots, failed) })
	ticker := time.NewTicker(settle / 10)
	defer ticker.Stop()
	for {
		var err error
		select {
		case batch := <-messages:
			err = l.takeEvents(batch)
		case batch := <-asked:
			err = l.takeActors(batch)
		case batch := <-snapshots:
			l.early = append(l.early, batch...)
		case <-ticker.C:
		case err = <-failed:
		case <-ctx.Done():
			return nil
		}
		if err == nil {
			err = l.takeVersions()
		}
		if err == nil {
			err = l.tell(time.Now())
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the log: %w", err)
		}
	}
}

func (l *live) takeEvents(batch []events.Message) error {
	for _, m := range batch {
		l.read = m.Sequence
		e, err := decode(m)
		if err != nil {
			return err
		}
		if entry := l.journal.add(e); entry != nil {
			l.waiting = append(l.waiting, waiting{entry, time.Now()})
			l.causes.entries[entry.Sequence] = entry
			if l.watched && l.actors.want(entry) {
				for _, r := range l.recent {
					l.actors.take(r.seen, r.at)
				}
			}
		}
	}
	return nil
}

func (l *live) takeActors(batch []events.Message) error {
	now := time.Now()
	l.watched = true
	for len(l.recent) > 0 && now.Sub(l.recent[0].read) > Nearby {
		l.recent = l.recent[1:]
	}
	for _, m := range batch {
		seen, at, err := decodeActor(m)
		if err != nil {
			return err
		}
		l.actors.take(seen, at)
		l.recent = append(l.recent, recent{seen, at, now})
	}
	l.recent = l.recent[max(0, len(l.recent)-maxRecent):]
	return nil
}

func (l *live) takeVersions() error {
	for len(l.early) > 0 && l.early[0].Version.Sequence <= l.read {
		if err := l.causes.take(l.early[0]); err != nil {
			return err
		}
		l.early = l.early[1:]
	}
	return nil
}

// tell hands out what has its version and who asked for it, or waited long enough.
func (l *live) tell(now time.Time) error {
	for len(l.waiting) > 0 {
		w := l.waiting[0]
		unknown := w.entry.Routing == nil && l.causes.state.Version.Sequence < w.entry.Sequence
		if (unknown || w.entry.NobodySeen) && now.Sub(w.since) < settle {
			return nil
		}
		l.waiting = l.waiting[1:]
		l.actors.forget(w.entry)
		delete(l.causes.entries, w.entry.Sequence)
		if err := l.take(w.entry); err != nil {
			return err
		}
	}
	return nil
}

// pump hands on what next reads.
func pump[T any](ctx context.Context, next func(context.Context) ([]T, error), out chan<- []T, failed chan<- error) {
	for {
		batch, err := next(ctx)
		if err != nil {
			failed <- err
			return
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return
		}
	}
}

package statuswriter

import (
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

const (
	// hold is how long a write waits for the Envoys that are connected to take a new
	// generation, so that Accepted and Programmed become one write.
	hold = time.Second
	// An object that was written twice waits before the next write, so that a burst
	// (of routes that attach to a Gateway) becomes few: the pause doubles from
	// minPause to maxPause, and is forgotten after calm without a write.
	minPause, maxPause = 50 * time.Millisecond, time.Second
	calm               = 3 * time.Second
	// After a failure the pause doubles from minRetry: to maxRetry, or to maxOutage
	// where the API is away, which takes only one attempt to find out.
	minRetry, maxRetry, maxOutage = time.Second, 30 * time.Second, 4 * time.Second
)

// queue is what has to be looked at, and when.
type queue struct {
	items map[events.Key]*item
	// recent are the objects that were written lately.
	recent map[events.Key]pace
}

type item struct {
	// since is when the object was marked, after it was last right.
	since   time.Time
	due     time.Time
	retries int
}

type pace struct {
	wrote time.Time
	pause time.Duration
}

func newQueue() *queue { return &queue{items: map[events.Key]*item{}, recent: map[events.Key]pace{}} }

// mark says that an object has to be looked at, as soon as it may be. One that
// waits after a failure has its next try within minRetry.
func (q *queue) mark(now time.Time, keys ...events.Key) {
	for _, key := range keys {
		at := now
		if p, ok := q.recent[key]; ok {
			at = later(at, p.wrote.Add(p.pause))
		}
		switch i := q.items[key]; {
		case i == nil:
			q.items[key] = &item{since: now, due: at}
		case i.retries > 0:
			i.due = earlier(i.due, now.Add(minRetry))
		default:
			i.due = earlier(i.due, at)
		}
	}
}

// hurry forgets the pace of an object of which there is a new generation: its
// owner waits for the answer.
func (q *queue) hurry(key events.Key) { delete(q.recent, key) }

// ready are at most so many of the objects that are due, classes and Gateways
// ahead of routes.
func (q *queue) ready(now time.Time, most int) []events.Key {
	var keys []events.Key
	for key, i := range q.items {
		if !i.due.After(now) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, events.Key.Compare)
	return keys[:min(len(keys), most)]
}

// next is when the next object is due; false when there is none.
func (q *queue) next() (at time.Time, ok bool) {
	for _, i := range q.items {
		if !ok || i.due.Before(at) {
			at, ok = i.due, true
		}
	}
	return at, ok
}

// done says that an object is right now.
func (q *queue) done(key events.Key, now time.Time, wrote bool) {
	delete(q.items, key)
	if !wrote {
		return
	}
	var pause time.Duration // none after the first write
	if p, ok := q.recent[key]; ok && now.Sub(p.wrote) <= calm {
		pause = min(max(minPause, 2*p.pause), maxPause)
	}
	q.recent[key] = pace{wrote: now, pause: pause}
}

// held says that an object waits for Envoys.
func (q *queue) held(key events.Key) {
	i := q.items[key]
	i.due = i.since.Add(hold)
}

// failed says that an object could not be written; it returns how often so far.
func (q *queue) failed(key events.Key, now time.Time, most time.Duration) int {
	i := q.items[key]
	i.due = now.Add(min(minRetry<<min(i.retries, 10), most))
	i.retries++
	return i.retries
}

// failing is how many objects could not be written at the last attempt.
func (q *queue) failing() (n int) {
	for _, i := range q.items {
		if i.retries > 0 {
			n++
		}
	}
	return n
}

// forget drops the paces that no longer matter.
func (q *queue) forget(now time.Time) {
	maps.DeleteFunc(q.recent, func(_ events.Key, p pace) bool { return now.Sub(p.wrote) > calm })
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

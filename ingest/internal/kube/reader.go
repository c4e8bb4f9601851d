package kube

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// Config says what to follow.
type Config struct {
	Client *Client
	// ClusterUID is that of the cluster to follow, and no other; "" where it is not known.
	ClusterUID string
	// Recorded are the objects of a resource that are recorded, with their uids. It
	// is called from within Next only.
	Recorded func(resource string) map[events.Key]string
	// Dropped is told of what nobody wants, and Watching of which kinds are followed
	// at present. They may be called from any goroutine.
	Dropped  func(resource, reason string)
	Watching func(resource string, up bool)
	// RelistAfter is how long to wait before a list that lacked what exists is made
	// again, the first time; 10 s when zero.
	RelistAfter time.Duration
	Logger      *slog.Logger
}

const (
	// backlog is how many messages may wait for Next. The followers wait then, and
	// the API server with them.
	backlog = 256
	// maxChanges bounds what one Next returns.
	maxChanges = 400

	defaultRelistAfter = 10 * time.Second
)

// Reader follows all kinds. It is for one goroutine.
type Reader struct {
	config    Config
	messages  chan message
	followers map[string]*follower
	lists     map[string]*listing
	next      *message // what did not fit the changes before
	// start runs something until Close.
	start   func(func(context.Context))
	stop    context.CancelFunc
	running sync.WaitGroup
}

// listing is the present list of a kind, or the last one.
type listing struct {
	resource, resourceVersion string
	complete                  bool
	// missing are the recorded objects that it has not found, with their uids.
	missing map[events.Key]string
	// doubtful lists follow one that was not to be believed.
	doubtful *events.SyncProblem
	retries  int
}

// Open begins to follow. Wanted are the objects that are recorded because
// something refers to them. Close the reader when done.
func Open(c Config, wanted []events.Key) *Reader {
	c.RelistAfter = cmp.Or(c.RelistAfter, defaultRelistAfter)
	// What goes wrong is said here, in our own words.
	working, stop := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	r := &Reader{
		config: c, messages: make(chan message, backlog), followers: map[string]*follower{}, lists: map[string]*listing{},
		stop: stop,
	}
	r.start = func(do func(context.Context)) { r.running.Go(func() { do(working) }) }
	served, references := newServed(), newReferences()
	references.want(wanted...)
	for _, k := range kinds() {
		f := &follower{
			kind: k, client: c.Client, served: served, references: references, clusterUID: c.ClusterUID, logger: c.Logger,
			dropped: c.Dropped, watching: c.Watching, out: r.messages, relist: make(chan struct{}, 1),
		}
		r.followers[k.resource] = f
		r.start(f.run)
	}
	return r
}

// Close ends all following, and waits for that.
func (r *Reader) Close() error {
	r.stop()
	r.running.Wait()
	return nil
}

// Pending is how many changes wait for Next.
func (r *Reader) Pending() int { return len(r.messages) }

// Next waits for changes, and returns all that there are. Each object is in them
// once. The error is that of ctx, or [ErrBack].
func (r *Reader) Next(ctx context.Context) (observed.Changes, error) {
	c := &changes{used: map[events.Key]bool{}}
	for c.empty() {
		m, err := r.take(ctx)
		for ; m != nil; m = r.takeNow(c) {
			if m.back != nil {
				return observed.Changes{}, m.back
			}
			if c.has(m) {
				r.next = m
				break
			}
			r.add(c, m)
		}
		if err != nil {
			return observed.Changes{}, err
		}
	}
	return c.sorted(), nil
}

func (r *Reader) take(ctx context.Context) (*message, error) {
	if m := r.next; m != nil {
		r.next = nil
		return m, nil
	}
	select {
	case m := <-r.messages:
		return &m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeNow takes what is there, without waiting; nil for nothing.
func (r *Reader) takeNow(c *changes) *message {
	if len(c.Applied)+len(c.Deleted) >= maxChanges {
		return nil
	}
	select {
	case m := <-r.messages:
		return &m
	default:
		return nil
	}
}

// add takes a message over into changes.
func (r *Reader) add(c *changes, m *message) {
	if c.Since.IsZero() {
		c.Since = m.at
	}
	list := r.lists[m.resource]
	switch {
	case m.began:
		list = &listing{resource: m.resource, missing: r.config.Recorded(m.resource)}
		if before := r.lists[m.resource]; before != nil {
			list.doubtful, list.retries = before.doubtful, before.retries
		}
		r.lists[m.resource] = list
	case m.applied != nil:
		for _, o := range m.with {
			c.apply(o)
			r.found(o.Key)
		}
		c.apply(*m.applied)
		r.found(m.applied.Key)
	case m.seen != nil:
		r.found(*m.seen)
	case m.deleted != nil:
		c.used[m.deleted.Key] = true
		c.Deleted = append(c.Deleted, *m.deleted)
		r.found(m.deleted.Key)
	case m.listed:
		list.complete, list.resourceVersion = true, m.resourceVersion
		r.judge(list)
		c.list(r.report(m.resource, m.resourceVersion, list.doubtful))
	case m.resumed:
		c.list(restated(r.report(m.resource, m.resourceVersion, nil)))
	case m.problem != nil:
		c.list(r.report(m.resource, "", r.uninstalled(m.resource, *m.problem)))
	case m.judged != nil:
		r.judged(c, list, m.judged)
	}
	if (m.applied != nil || m.deleted != nil) && list != nil && !list.complete {
		c.list(observed.List{Resource: m.resource, Optional: r.followers[m.resource].optional})
	}
}

func (r *Reader) report(resource, resourceVersion string, problem *events.SyncProblem) observed.List {
	return observed.List{
		Resource: resource, ResourceVersion: resourceVersion, Complete: true, Problem: problem, Optional: r.followers[resource].optional,
	}
}

func restated(l observed.List) observed.List {
	l.Restated = true
	return l
}

// uninstalled is the problem that a kind is not installed, where objects of it are
// recorded: a list that could tell what became of them cannot be made.
func (r *Reader) uninstalled(resource string, problem events.SyncProblem) *events.SyncProblem {
	if left := len(r.config.Recorded(resource)); problem.Reason == events.ReasonNotInstalled && left > 0 {
		problem.Reason = events.ReasonUninstalled
		problem.Message += fmt.Sprintf(" The %d %s that are recorded stay in force.", left, resource)
	}
	return &problem
}

// found notes that a list, if there is one under way, need not look for key.
func (r *Reader) found(key events.Key) {
	if list := r.lists[key.Resource]; list != nil {
		delete(list.missing, key)
	}
}

// changes are in the making.
type changes struct {
	observed.Changes
	used map[events.Key]bool
}

func (c *changes) empty() bool {
	return len(c.Applied)+len(c.Deleted)+len(c.Vanished)+len(c.Lists) == 0
}

// has tells whether a message is about an object that is in the changes already.
func (c *changes) has(m *message) bool {
	switch {
	case m.applied != nil:
		return c.used[m.applied.Key] || slices.ContainsFunc(m.with, func(o observed.Object) bool { return c.used[o.Key] })
	case m.deleted != nil:
		return c.used[m.deleted.Key]
	case m.began, m.judged != nil, m.problem != nil: // these look at what is recorded, and that comes first
		return len(c.used) > 0
	}
	return false
}

func (c *changes) apply(o observed.Object) {
	c.used[o.Key] = true
	c.Applied = append(c.Applied, o)
}

// list notes how far a list has come. There is one of each kind in the changes.
func (c *changes) list(l observed.List) {
	i := slices.IndexFunc(c.Lists, func(have observed.List) bool { return have.Resource == l.Resource })
	switch {
	case i < 0:
		c.Lists = append(c.Lists, l)
	case l.Complete:
		c.Lists[i] = l
	}
}

// sorted puts what others refer to first, where it arrived together with them.
func (c *changes) sorted() observed.Changes {
	slices.SortStableFunc(c.Applied, func(a, b observed.Object) int { return cmp.Compare(order(a.Key.Resource), order(b.Key.Resource)) })
	slices.SortStableFunc(c.Deleted, func(a, b observed.Deletion) int { return cmp.Compare(order(b.Key.Resource), order(a.Key.Resource)) })
	return c.Changes
}

// order is the place of a resource among changes: what others refer to goes first,
// routes last.
func order(resource string) int {
	first := []string{
		events.CustomResourceDefinitions, events.Namespaces, events.Secrets, events.Services, events.EndpointSlices,
		events.ReferenceGrants, events.GatewayClasses, events.Gateways, events.ListenerSets,
	}
	if i := slices.Index(first, resource); i >= 0 {
		return i
	}
	return len(first)
}

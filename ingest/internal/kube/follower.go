package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events"
)

// ErrBack is returned when resourceVersions go backwards: the cluster was restored
// from a backup, and nothing that was seen can be built upon.
var ErrBack = errors.New("the resourceVersions of the cluster have gone backwards")

// errOtherCluster: the address leads to another cluster than it did.
var errOtherCluster = errors.New("the API server is that of another cluster")

// errRelist asks for a list where a watch would do.
var errRelist = errors.New("the last list is not to be believed")

const (
	firstWait = 100 * time.Millisecond
	lastWait  = 5 * time.Second
	// watches end by themselves after between one and two of these.
	watchFor = 5 * time.Minute
	// patience is how often a kind may not be found although it is installed.
	patience = 5
)

// follower follows one kind: it lists it, and then watches it for ever.
type follower struct {
	kind
	client     *Client
	served     *served
	references *references
	clusterUID string // "" is any
	logger     *slog.Logger
	dropped    func(resource, reason string)
	watching   func(resource string, up bool)
	out        chan<- message
	// relist is sent to when the last list is not to be believed.
	relist chan struct{}

	// last is up to where everything is known, "" before the first list. highest is
	// the same, and stays when everything is to be listed again.
	last, highest string
	problem       *events.SyncProblem // as told last
	down          bool                // whether it was told that this kind cannot be followed
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	wait, retryCount := firstWait, 0
	for ctx.Err() == nil {
		version, known, changed := f.served.version(f.kind)
		if version == "" {
			if known {
				f.say(ctx, notInstalled(f.kind))
			}
			f.pause(ctx, 0, changed)
			continue
		}
		began := time.Now()
		err := f.follow(ctx, version)
		f.watching(f.resource, false)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastWait {
			wait, retryCount = firstWait, 0
		}
		if err == nil && time.Since(began) > time.Second {
			continue // the watch has had its time
		}
		if err != nil {
			retryCount++
			f.broke(ctx, version, err, retryCount)
		}
		// Not all kinds at once: they broke together.
		f.pause(ctx, wait/2+rand.N(wait), changed)
		wait = min(2*wait, lastWait)
	}
}

// pause waits for so long (0 is without end), or until changed.
func (f *follower) pause(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	var after <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-after:
	case <-changed:
	case <-ctx.Done():
	}
}

// broke looks at why following ended.
func (f *follower) broke(ctx context.Context, version string, err error, retryCount int) {
	switch {
	case errors.Is(err, ErrBack):
		f.send(ctx, message{back: err})
		f.last = ""
		return
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err), errors.Is(err, errRelist), isTooLarge(err):
		f.logger.Info("a kind is listed again", "resource", f.resource, "error", err)
		f.last = ""
		return
	case apierrors.IsForbidden(err):
		f.say(ctx, &events.SyncProblem{
			Reason:  events.ReasonForbidden,
			Message: fmt.Sprintf("The API server does not let ingest list and watch %s: %v.", f.resource, err),
		})
		if f.resource == events.CustomResourceDefinitions {
			f.served.assume(kinds())
		}
	case apierrors.IsNotFound(err) && f.optional:
		f.say(ctx, &events.SyncProblem{
			Reason:  events.ReasonNotInstalled,
			Message: fmt.Sprintf("The API server does not serve %s %s.", f.kind.Group, version),
		})
		return
	case apierrors.IsNotFound(err) && f.custom:
		now, known, _ := f.served.version(f.kind)
		if known && now == "" || retryCount < patience {
			return // it is not installed, and run says so; or it is only just, and not served yet
		}
	}
	if !f.down {
		f.logger.Warn("a kind cannot be followed", "resource", f.resource, "version", version, "retryCount", retryCount, "error", err)
	}
	f.down = true
}

func notInstalled(k kind) *events.SyncProblem {
	return &events.SyncProblem{
		Reason:  events.ReasonNotInstalled,
		Message: fmt.Sprintf("The CustomResourceDefinition %s is not installed.", k.definition()),
	}
}

// say tells of a problem, once.
func (f *follower) say(ctx context.Context, problem *events.SyncProblem) {
	if f.problem != nil && *f.problem == *problem {
		return
	}
	f.problem = problem
	f.logger.Warn("a kind cannot be listed", "resource", f.resource, "error", problem.Message)
	f.send(ctx, message{problem: problem})
}

// follow lists, unless everything up to some point is known, and watches. It returns
// nil when a watch has ended as it has to.
func (f *follower) follow(ctx context.Context, version string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := f.sameCluster(ctx); err != nil {
		return err
	}
	if f.last == "" {
		return f.list(ctx, version)
	}
	// A watch from the future of a restored cluster would be silent for a long time.
	now, err := f.client.now(ctx, f.kind, version)
	if err != nil {
		return err
	}
	if isBefore(now, f.last) {
		return fmt.Errorf("%w: %s are at %s, and were at %s", ErrBack, f.resource, now, f.last)
	}
	return f.watch(ctx, version)
}

func (f *follower) sameCluster(ctx context.Context) error {
	if f.clusterUID == "" {
		return nil
	}
	uid, err := f.client.ClusterUID(ctx)
	if err == nil && uid != "" && uid != f.clusterUID {
		err = fmt.Errorf("%w: its uid is %s, not %s", errOtherCluster, uid, f.clusterUID)
	}
	return err
}

// watch goes on from f.last.
func (f *follower) watch(ctx context.Context, version string) error {
	w, err := f.client.watch(ctx, f.kind, version, metav1.ListOptions{
		ResourceVersion: f.last, AllowWatchBookmarks: true, TimeoutSeconds: watchTime(),
	})
	if err != nil {
		return err
	}
	f.up(ctx)
	return f.consume(ctx, w, false)
}

// up is when the API server answers again.
func (f *follower) up(ctx context.Context) {
	f.watching(f.resource, true)
	if f.down || f.problem != nil {
		f.logger.Info("a kind is followed again", "resource", f.resource)
	}
	if f.problem != nil && f.last != "" {
		f.send(ctx, message{resumed: true, resourceVersion: f.last})
	}
	f.down, f.problem = false, nil
}

func (f *follower) send(ctx context.Context, m message) {
	m.resource, m.at = f.resource, time.Now()
	select {
	case f.out <- m:
	case <-ctx.Done():
	}
}

func watchTime() *int64 {
	seconds := int64((watchFor + rand.N(watchFor)).Seconds())
	return &seconds
}

// isBefore compares resourceVersions, which are numbers that only grow, since
// Kubernetes 1.35 by contract. What is no number is before nothing.
func isBefore(a, b string) bool {
	x, err := strconv.ParseUint(a, 10, 64)
	y, err2 := strconv.ParseUint(b, 10, 64)
	return err == nil && err2 == nil && x < y
}

// isTooLarge tells whether the API server does not know a resourceVersion yet.
func isTooLarge(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

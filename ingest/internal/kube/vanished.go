package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

const (
	// questions is how many GETs are under way at once.
	questions = 8
	// slowest is how long the pause between two lists of a kind gets at most.
	slowest = 5 * time.Minute
)

// judge looks for what a complete list has not found, beside Next: that a list
// lacks an object is no proof that it is gone.
func (r *Reader) judge(list *listing) {
	if len(list.missing) == 0 {
		list.doubtful, list.retries = nil, 0
		return
	}
	f := r.followers[list.resource]
	missing := maps.Clone(list.missing)
	r.start(func(ctx context.Context) {
		for wait := firstWait; ctx.Err() == nil; wait = min(2*wait, lastWait) {
			judged, err := f.look(ctx, list.resourceVersion, missing)
			if err == nil {
				judged.of = list
				f.send(ctx, message{judged: judged})
				return
			}
			if wait == firstWait {
				f.logger.Warn("objects that a list lacks cannot be looked for; they stay in force", "resource", f.resource, "error", err)
			}
			f.pause(ctx, wait, nil)
		}
	})
}

// look asks for each of the missing objects. All of it counts only if the cluster
// is known, and is the same before and after.
func (f *follower) look(ctx context.Context, resourceVersion string, missing map[events.Key]string) (*judgement, error) {
	if f.clusterUID == "" {
		return nil, errors.New("it is not known which cluster this is: the namespace kube-system may not be read")
	}
	version, known, _ := f.served.version(f.kind)
	if version == "" || !known {
		return nil, errors.New("the kind is not installed")
	}
	if err := f.sameCluster(ctx); err != nil {
		return nil, err
	}
	keys := slices.SortedFunc(maps.Keys(missing), events.Key.Compare)
	there, err := f.ask(ctx, version, keys)
	if err != nil {
		return nil, err
	}
	if err := f.sameCluster(ctx); err != nil {
		return nil, err
	}
	out := &judgement{}
	for i, key := range keys {
		if there[i] {
			out.there++
			continue
		}
		out.gone = append(out.gone, observed.Deletion{Key: key, UID: missing[key], ResourceVersion: resourceVersion})
	}
	return out, nil
}

// ask tells of each key whether there is such an object.
func (f *follower) ask(ctx context.Context, version string, keys []events.Key) ([]bool, error) {
	there, errs := make([]bool, len(keys)), make([]error, questions)
	var asking sync.WaitGroup
	for q := range questions {
		asking.Go(func() {
			for i := q; i < len(keys) && errs[q] == nil; i += questions {
				there[i], errs[q] = f.client.exists(ctx, f.kind, version, keys[i])
			}
		})
	}
	asking.Wait()
	return there, errors.Join(errs...)
}

// judged takes over what became of the objects that a list has not found. What has
// turned up since then is no longer missing.
func (r *Reader) judged(c *changes, list *listing, j *judgement) {
	if list != j.of {
		return // there is a newer list
	}
	for _, gone := range j.gone {
		if _, ok := list.missing[gone.Key]; ok {
			c.Vanished = append(c.Vanished, gone)
		}
	}
	told := list.doubtful
	list.doubtful = nil
	if j.there > 0 {
		list.doubtful = &events.SyncProblem{
			Reason:  events.ReasonListIncomplete,
			Message: fmt.Sprintf("The API server lists %s without %d of them, which exist and stay in force.", list.resource, j.there),
		}
		r.relist(list)
	}
	if told == nil && j.there == 0 || told != nil && list.doubtful != nil && *told == *list.doubtful {
		return
	}
	c.list(restated(r.report(list.resource, list.resourceVersion, list.doubtful)))
}

// relist asks for another list, in a while.
func (r *Reader) relist(list *listing) {
	wait := min(r.config.RelistAfter<<min(list.retries, 16), slowest)
	list.retries++
	f := r.followers[list.resource]
	r.start(func(ctx context.Context) {
		f.pause(ctx, wait, nil)
		select {
		case f.relist <- struct{}{}:
		default:
		}
	})
}

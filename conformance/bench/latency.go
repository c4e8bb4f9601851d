package bench

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Latency is how long new routes took.
type Latency struct {
	Routes int // there were before
	// Create is how long the API server took to create each, Served from then until the
	// first request that was answered by it; Poll the time between two requests.
	Create, Served, Poll []time.Duration
	Answers              Answers
}

// Answers are the codes of answers that are wrong, by when they came.
type Answers struct {
	Asked int
	Wrong map[string]int
}

func (a *Answers) check(when string, code, want int) {
	a.Asked++
	if code == want {
		return
	}
	if a.Wrong == nil {
		a.Wrong = make(map[string]int)
	}
	a.Wrong[fmt.Sprintf("%d %s", code, when)]++
}

// String lists what is wrong.
func (a *Answers) String() string {
	if len(a.Wrong) == 0 {
		return fmt.Sprintf("none of %d", a.Asked)
	}
	text := ""
	for _, what := range slices.Sorted(maps.Keys(a.Wrong)) {
		text += fmt.Sprintf("%d × %s, ", a.Wrong[what], what)
	}
	return fmt.Sprintf("%sof %d", text, a.Asked)
}

const (
	// after is how long a route is asked once it has answered.
	after = 30 * time.Millisecond
	// calm lets what a route set off (its status, receipts) come to an end: one at a
	// time is measured.
	calm = 100 * time.Millisecond
)

// oneByOne adds routes to those that there are.
func (w *world) oneByOne(ctx context.Context, routes, samples int) (*Latency, error) {
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	w.say("%d more routes, one at a time", samples)
	poller, err := NewPoller(ctx, w.address)
	if err != nil {
		return nil, err
	}
	defer poller.Close()
	result := &Latency{Routes: routes}
	for i := routes; i < routes+samples; i++ {
		if err := w.addOne(ctx, poller, i, result); err != nil {
			return nil, err
		}
		if err := wait(ctx, calm); err != nil {
			return nil, err
		}
	}
	for i := range routes + samples {
		code, err := poller.Get(hostOf(i))
		if err != nil {
			return nil, err
		}
		result.Answers.check("in the end", code, http.StatusOK)
	}
	return result, nil
}

// addOne creates a route and asks for it from before that until after it has answered.
func (w *world) addOne(ctx context.Context, poller *Poller, i int, result *Latency) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	created := make(chan time.Time, 1)
	failed := make(chan error, 1)
	begin := time.Now()
	go func() {
		err := w.makeRoute(ctx, i)
		created <- time.Now()
		failed <- err
	}()
	var first time.Time
	for last := begin; first.IsZero() || last.Sub(first) < after; pause() {
		code, err := poller.Get(hostOf(i))
		if err != nil {
			return err
		}
		now := time.Now()
		result.Poll = append(result.Poll, now.Sub(last))
		last = now
		switch {
		case !first.IsZero():
			result.Answers.check("after 200", code, http.StatusOK)
		case code == http.StatusOK:
			first = now
		default:
			result.Answers.check("before 200", code, http.StatusNotFound)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s is not served: %w", hostOf(i), err)
		}
	}
	done := <-created
	result.Create = append(result.Create, done.Sub(begin))
	result.Served = append(result.Served, max(first.Sub(done), 0))
	return <-failed
}

func wait(ctx context.Context, span time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(span):
		return nil
	}
}

// percentile sorts what it is given.
func percentile(of []time.Duration, p float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(len(of)-1, int(p/100*float64(len(of))))]
}

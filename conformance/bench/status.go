package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Status is how long the status of routes took that were created at once.
type Status struct {
	Routes int
	// Created is how long it took to create them, Right from then until the status of
	// the last one was right.
	Created, Right time.Duration
	// Writes is how many statuses of routes were written for that.
	Writes float64
}

// burst creates routes at once.
func (w *world) burst(ctx context.Context, count int) (*Status, error) {
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	w.say("%d routes at once", count)
	before, err := w.statusWrites(ctx)
	if err != nil {
		return nil, err
	}
	right := make(chan rightAt, 1)
	ready := make(chan struct{})
	go func() { right <- w.watchStatus(ctx, count, ready) }()
	<-ready
	begin := time.Now()
	err = w.makeRoutes(ctx, 0, count)
	created := time.Now()
	last := <-right
	if err := errors.Join(err, last.err); err != nil {
		return nil, err
	}
	if err := w.settle(ctx); err != nil { // a write too many would come late
		return nil, err
	}
	after, err := w.statusWrites(ctx)
	if err != nil {
		return nil, err
	}
	return &Status{Routes: count, Created: created.Sub(begin), Right: max(last.at.Sub(created), 0), Writes: after - before}, nil
}

func (w *world) statusWrites(ctx context.Context) (float64, error) {
	all, err := w.scrape(ctx, "status-writer")
	if err != nil {
		return 0, err
	}
	return all.sum("rutter_status_writes_total", label{"resource", "httproutes"}), nil
}

type rightAt struct {
	at  time.Time
	err error
}

// watchStatus returns when the status of so many routes is right. It closes ready once
// it watches.
func (w *world) watchStatus(ctx context.Context, count int, ready chan<- struct{}) rightAt {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	changes, err := w.gateway.GatewayV1().HTTPRoutes(namespace).Watch(ctx, metav1.ListOptions{})
	close(ready)
	if err != nil {
		return rightAt{err: err}
	}
	defer changes.Stop()
	pending := count
	seen := make(map[string]bool, count)
	for change := range changes.ResultChan() {
		found, ok := change.Object.(*gatewayv1.HTTPRoute)
		if !ok || change.Type == watch.Deleted {
			return rightAt{err: fmt.Errorf("the watch says %s: %v", change.Type, change.Object)}
		}
		if now := isRight(found); now != seen[found.Name] {
			seen[found.Name] = now
			if !now {
				return rightAt{err: fmt.Errorf("the status of %s was right and is no longer: %v", found.Name, found.Status)}
			}
			if pending--; pending == 0 {
				return rightAt{at: time.Now()}
			}
		}
	}
	return rightAt{err: fmt.Errorf("the status of %d routes is not right: %w", pending, cmp.Or(context.Cause(ctx), errWatchEnded))}
}

var errWatchEnded = errors.New("the API server ended the watch")

// isRight tells whether all is said of a route, and that it is served.
func isRight(found *gatewayv1.HTTPRoute) bool {
	if len(found.Status.Parents) != 1 {
		return false
	}
	conditions := found.Status.Parents[0].Conditions
	for _, kind := range []string{string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteConditionResolvedRefs), "rutter.dev/Programmed"} {
		if !isTrue(conditions, kind, found.Generation) {
			return false
		}
	}
	return true
}

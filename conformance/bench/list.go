package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/conformance/install"
)

// List is how long the first list took.
type List struct {
	Routes int
	// Recorded is from the start of the process of ingest until the listing of routes
	// was recorded as complete, Ready until that of every kind was.
	Recorded, Ready time.Duration
}

// firstList lets ingest find routes that were made while it was away.
func (w *world) firstList(ctx context.Context, count int) (*List, error) {
	if err := w.install(ctx); err != nil {
		return nil, err
	}
	if err := w.makeGateway(ctx); err != nil {
		return nil, err
	}
	if err := w.scale(ctx, "ingest", 0); err != nil {
		return nil, err
	}
	w.say("%d routes, while there is no ingest", count)
	if err := w.makeRoutes(ctx, 0, count); err != nil {
		return nil, err
	}
	w.say("ingest starts")
	if err := w.scale(ctx, "ingest", 1); err != nil {
		return nil, err
	}
	result := &List{Routes: count}
	err := eventually(ctx, "recording", func() error {
		all, err := w.scrape(ctx, "ingest")
		if err != nil {
			return err
		}
		running := time.Since(all.time("process_start_time_seconds"))
		if all.sum("rutter_ingest_synced", label{"resource", "httproutes"}) != 1 {
			return errors.New("the routes are not listed")
		}
		if result.Recorded == 0 {
			result.Recorded = running
			if recorded := all.sum("rutter_ingest_events_recorded_total", label{"resource", "httproutes"}, label{"type", "object.applied"}); recorded != float64(count) {
				return fmt.Errorf("%v routes were recorded", recorded)
			}
		}
		if all.count("rutter_ingest_synced") != all.sum("rutter_ingest_synced") {
			return errors.New("not every kind is listed")
		}
		result.Ready = running
		return nil
	})
	return result, err
}

// scale sets how many processes a role has, and waits until there are so many.
func (w *world) scale(ctx context.Context, role string, replicas int) error {
	deployments := w.core.AppsV1().Deployments(install.Namespace)
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := deployments.Patch(ctx, install.Release+"-"+role, types.MergePatchType, patch, metav1.PatchOptions{}, "scale"); err != nil {
		return err
	}
	return eventually(ctx, role, func() error {
		if found := len(w.pids(role)); found != replicas {
			return fmt.Errorf("there are %d processes", found)
		}
		return nil
	})
}

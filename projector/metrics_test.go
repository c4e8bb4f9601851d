package projector_test

import (
	"fmt"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestAProjectorTellsWhatItDoesAndHowFarItIs(t *testing.T) {
	r := newRig(t)
	r.list()
	stop := r.project(0)
	defer stop()
	r.reach(r.last)
	r.route("a", "web")
	r.reach(r.last)
	gwtest.Eventually(t, "the metrics of two versions", func() error {
		for metric, want := range map[string]float64{
			"rutter_snapshots_published_total": 2, "rutter_snapshot_bytes": 2, "rutter_projector_delay_seconds": 2,
			"rutter_projector_lag_messages": 0, "rutter_projector_lag_seconds": 0, "rutter_projector_invalid_outputs_total": 0,
		} {
			if got := gwtest.Metric(t, r.registry, metric); got != want {
				return fmt.Errorf("%s: %v, want %v", metric, got, want)
			}
		}
		for _, step := range []string{"fold", "route", "envoy"} {
			if got := gwtest.Metric(t, r.registry, "rutter_projector_step_duration_seconds", "step="+step); got < 2 {
				return fmt.Errorf("%s is timed %v times", step, got)
			}
		}
		if got := gwtest.Metric(t, r.registry, "controller_reconcile_total", "controller=projector", "result=success"); got < 2 {
			return fmt.Errorf("%v pieces of work", got)
		}
		return nil
	})
}

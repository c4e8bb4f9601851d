package ingest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// routes are so many routes, from r00 on.
func routes(from, to int) string {
	text := ""
	for i := from; i < to; i++ {
		text += route(fmt.Sprintf("r%02d", i), "a.example")
	}
	return text
}

// problems are those that the completed lists of a resource tell of, in order.
func problems(t *testing.T, list []events.Event, resource string) []string {
	t.Helper()
	var out []string
	for _, e := range list {
		if e.Type != events.TypeSyncDone || e.Key != events.ProblemKey(resource) {
			continue
		}
		var sync events.Sync
		must(t, json.Unmarshal(e.Data, &sync))
		if sync.Problem == nil {
			out = append(out, "")
			continue
		}
		out = append(out, sync.Problem.Reason+": "+sync.Problem.Message)
	}
	return out
}

// count is how many HTTPRoutes are in force by what is recorded.
func (r *rig) count() int {
	r.t.Helper()
	inForce := map[events.Key]bool{}
	for _, e := range r.read(r.config.Events, 0) {
		switch {
		case e.Key.Resource != events.HTTPRoutes:
		case e.Type == events.ObjectDeleted:
			delete(inForce, e.Key)
		default:
			inForce[e.Key] = true
		}
	}
	return len(inForce)
}

func (r *rig) removeRoutes(from, to int) {
	r.shelf.change(func() {
		for i := from; i < to; i++ {
			delete(r.shelf.objects, routeKey(fmt.Sprintf("r%02d", i)))
		}
	})
}

const class = `{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: rutter, annotations: {%s: %s}}, spec: {controllerName: rutter.dev/gateway-controller}}
---
`

var tokenPattern = regexp.MustCompile(ConfirmAnnotation + `=(\S+)\.`)

func TestManyDeletionsAtOnceAreHeldUntilConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(routes(0, 50))
		stop := r.start()
		synctest.Wait()
		next := r.after(r.config.Events)
		r.removeRoutes(0, 11)
		synctest.Wait()
		if n := r.count(); n != 50 {
			t.Fatalf("%d routes are in force, want all 50", n)
		}
		said := problems(t, r.read(r.config.Events, next), events.HTTPRoutes)
		if len(said) != 1 || !strings.HasPrefix(said[0], "DeletionsHeld: 11 of 50 httproutes are missing") {
			t.Fatalf("said %q", said)
		}
		token := tokenPattern.FindStringSubmatch(said[0])[1]

		// A confirmation of something else, and one on somebody else's class, are none.
		r.shelf.put(fmt.Sprintf(class, ConfirmAnnotation, "httproutes-0123456789"))
		r.shelf.put(strings.ReplaceAll(fmt.Sprintf(class, ConfirmAnnotation, token), "rutter", "other"))
		synctest.Wait()
		if n := r.count(); n != 50 {
			t.Fatalf("%d routes are in force after a foreign confirmation, want all 50", n)
		}
		next = r.after(r.config.Events)
		r.shelf.put(fmt.Sprintf(class, ConfirmAnnotation, token))
		synctest.Wait()
		if n := r.count(); n != 39 {
			t.Errorf("%d routes are in force after the confirmation, want 39", n)
		}
		if said := problems(t, r.read(r.config.Events, next), events.HTTPRoutes); len(said) != 1 || said[0] != "" {
			t.Errorf("after the confirmation it says %q", said)
		}
		// It confirmed that, and nothing later.
		time.Sleep(time.Minute)
		r.shelf.put(routes(0, 11))
		synctest.Wait()
		r.removeRoutes(0, 11)
		synctest.Wait()
		if n := r.count(); n != 50 {
			t.Errorf("%d routes are in force, want 50: the same objects were deleted once more", n)
		}
		must(t, stop())
	})
}

func TestFewDeletionsAreNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(routes(0, 80))
		stop := r.start()
		synctest.Wait()
		r.removeRoutes(0, 16) // a fifth, and not more
		synctest.Wait()
		if n := r.count(); n != 64 {
			t.Errorf("%d routes are in force, want 64", n)
		}
		r.removeRoutes(16, 18) // with those of just now more than a fifth
		synctest.Wait()
		if n := r.count(); n != 64 {
			t.Errorf("%d routes are in force, want 64: little by little is many as well", n)
		}
		must(t, stop())
		r.removeRoutes(0, 70) // all but ten
		stop = r.start()
		synctest.Wait()
		if n := r.count(); n != 64 {
			t.Errorf("%d routes are in force after a restart, want 64", n)
		}
		must(t, stop())
	})
}

func TestTenObjectsOrFewerAreNeverHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(routes(0, 10))
		stop := r.start()
		synctest.Wait()
		r.removeRoutes(0, 10)
		synctest.Wait()
		if n := r.count(); n != 0 {
			t.Errorf("%d routes are in force, want none", n)
		}
		must(t, stop())
	})
}

func TestHeldObjectsThatComeBackWereNeverGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		text := ""
		for i := range 30 {
			text += slice(fmt.Sprintf("s%02d", i), "10.0.0.1")
		}
		r.shelf.put(text)
		stop := r.start()
		synctest.Wait()
		next, nextEndpoints := r.after(r.config.Events), r.after(r.config.Endpoints)
		r.shelf.change(func() { clear(r.shelf.objects) })
		synctest.Wait()
		said := problems(t, r.read(r.config.Events, next), events.EndpointSlices)
		if len(said) != 1 || !strings.HasPrefix(said[0], "DeletionsHeld: 30 of 30 endpointslices") {
			t.Errorf("said %q", said)
		}
		r.shelf.put(text)
		synctest.Wait()
		if said := problems(t, r.read(r.config.Events, next), events.EndpointSlices); len(said) != 2 || said[1] != "" {
			t.Errorf("when they are back it says %q", said)
		}
		if got := story(r.read(r.config.Endpoints, nextEndpoints)); got != "" {
			t.Errorf("recorded %s", got)
		}
		must(t, stop())
	})
}

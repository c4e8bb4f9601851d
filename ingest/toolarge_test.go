package ingest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestAnObjectThatIsTooLargeIsLeftOutAndSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(route("a", "a.example"))
		stop := r.start()
		synctest.Wait()
		next := r.after(r.config.Events)
		huge := strings.Repeat("x", 2<<20)
		r.shelf.put(route("a", huge) + route("b", huge) + route("c", "c.example"))
		synctest.Wait()
		if got, want := story(objectsOf(r.read(r.config.Events, next))), "applied httproutes/c"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		said := problems(t, r.read(r.config.Events, next), events.HTTPRoutes)
		if len(said) != 1 || !strings.HasPrefix(said[0], "TooLarge: These httproutes are larger than a message of the log may be") ||
			!strings.Contains(said[0], "shop/a (20") || !strings.Contains(said[0], "shop/b (20") {
			t.Errorf("said %q", said)
		}
		if n := gwtest.Metric(t, r.registry, "rutter_ingest_events_dropped_total", "resource=httproutes", "reason=too-large"); n != 2 {
			t.Errorf("%v are dropped", n)
		}
		r.shelf.remove(routeKey("b"))
		r.shelf.put(route("a", "small.example"))
		synctest.Wait()
		if got, want := story(objectsOf(r.read(r.config.Events, next))), "applied httproutes/c, applied httproutes/a"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		if said := problems(t, r.read(r.config.Events, next), events.HTTPRoutes); said[len(said)-1] != "" {
			t.Errorf("when they are small and gone it says %q", said)
		}
		must(t, stop())
	})
}

// A Secret and the Gateway that is the first to refer to it are recorded together or
// not at all.
func TestASecretIsNeverRecordedWithoutItsFirstReferrer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		stop := r.start()
		synctest.Wait()
		next := r.after(r.config.Events)
		info, err := r.config.Events.Info(t.Context())
		must(t, err)
		both := secret(t)
		r.limit(events.StreamEvents, int64(info.Bytes)+sizeOf(t, both)-10) // for the Secret, and not for both
		r.shelf.put(both)
		synctest.Wait()
		if got := story(r.read(r.config.Events, next)); got != "" {
			t.Errorf("where there is no room for both %s is recorded", got)
		}
		r.limit(events.StreamEvents, 0)
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		if got, want := story(r.read(r.config.Events, next)), "applied secrets/cert, applied gateways/gw"; got != want {
			t.Errorf("recorded %s, want %s", got, want)
		}
		must(t, stop())
	})
}

// sizeOf is what objects take in EVENTS.
func sizeOf(t *testing.T, text string) int64 {
	t.Helper()
	r := newRig(t)
	defer r.log.Close()
	stop := r.start()
	synctest.Wait()
	before, err := r.config.Events.Info(t.Context())
	must(t, err)
	r.shelf.put(text)
	synctest.Wait()
	after, err := r.config.Events.Info(t.Context())
	must(t, err)
	must(t, stop())
	return int64(after.Bytes - before.Bytes)
}

func TestPartsOfALongListKeepSecretsAndReferrersTogether(t *testing.T) {
	event := func(resource string) events.Event {
		return events.Event{Type: events.ObjectApplied, Key: events.Key{Resource: resource, Name: "x"}}
	}
	var list []events.Event
	for range many - 2 {
		list = append(list, event(events.HTTPRoutes))
	}
	list = append(list, event(events.Secrets), event(events.Secrets), event(events.Gateways), event(events.HTTPRoutes))
	first, together := nextPart(list)
	if len(first) != many-2 || !together {
		t.Errorf("the first part has %d events, together %t", len(first), together)
	}
	second, together := nextPart(list[len(first):])
	if len(second) != 4 || !together {
		t.Errorf("the second part has %d events, together %t", len(second), together)
	}
	if _, together := nextPart([]events.Event{event(events.HTTPRoutes), event(events.Secrets)}); together {
		t.Error("a Secret alone waits for a batch")
	}
}

// objectsOf leaves out what is said about lists.
func objectsOf(list []events.Event) []events.Event {
	var out []events.Event
	for _, e := range list {
		if !e.Key.IsSync() {
			out = append(out, e)
		}
	}
	return out
}

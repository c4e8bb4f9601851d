package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
)

func statusIsWrittenOnce(r *rig) {
	r.run(nil)
	o := r.route("once", "gw")
	r.known(routeKey("once"))
	v := verdict(o, "gw")
	if !r.apply(v) || r.apply(v) {
		r.Error("a status is to be written once")
	}
	written := r.get(routeKey("once"))
	var parents []struct {
		ControllerName string
		Conditions     []struct {
			Type               string
			ObservedGeneration int64
		}
	}
	r.must(json.Unmarshal(join(r.parents(written)), &parents))
	if len(parents) != 1 || parents[0].ControllerName != controller || len(parents[0].Conditions) != 3 {
		r.Fatalf("got %s", written.Status)
	}
	for _, c := range parents[0].Conditions {
		if c.ObservedGeneration != o.Generation {
			r.Errorf("%s is of generation %d", c.Type, c.ObservedGeneration)
		}
	}
	// Another process finds that it is so.
	r.run(nil)
	r.known(routeKey("once"))
	if r.apply(v) || r.get(routeKey("once")).ResourceVersion != written.ResourceVersion {
		r.Error("written again after a restart")
	}
}

func join(values []json.RawMessage) []byte {
	return slices.Concat([]byte("["), bytes.Join(toBytes(values), []byte(",")), []byte("]"))
}

func toBytes(values []json.RawMessage) (out [][]byte) {
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// foreign is the entry of another controller for a parent.
func foreign(controller, parent string, n int) string {
	return fmt.Sprintf(`{"conditions":[{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"number %d <&>","observedGeneration":%d,"reason":"Seen","status":"True","type":"example.com/Seen"}],`+
		`"controllerName":%q,"parentRef":{"group":"gateway.networking.k8s.io","kind":"Gateway","name":%q,"namespace":"other","port":%d}}`, n, n, controller, parent, n)
}

func foreignEntriesStay(r *rig) {
	r.run(nil)
	o := r.route("foreign", "a", "b", "c")
	key := routeKey("foreign")
	for i := range 40 {
		// Another controller adds itself anywhere, and we come and go.
		now := r.parents(r.get(key))
		entry := json.RawMessage(foreign(fmt.Sprintf("example.com/%d", i%7), "x", i+1))
		at := (i * 5) % (len(now) + 1)
		if len(now) > 20 {
			now, at = now[5:], 0
		}
		_, err := r.patch(key, fmt.Sprintf(`{"status":{"parents":%s}}`, join(slices.Insert(now, at, entry))), "status")
		r.must(err)
		before := r.others(key)
		v := verdict(o, []string{"a", "b", "c"}[:i%4%3+1]...)
		v.Parents[0].Conditions[0].Message = fmt.Sprint("change ", i)
		r.known(key)
		if !r.apply(v) {
			r.Fatal("not written")
		}
		if after := r.others(key); !slices.Equal(before, after) {
			r.Fatalf("round %d:\n%s\n%s", i, before, after)
		}
	}
}

// others are the entries of other controllers, as they are written.
func (r *rig) others(key events.Key) (out []string) {
	for _, p := range r.parents(r.get(key)) {
		if !strings.Contains(string(p), controller) {
			out = append(out, string(p))
		}
	}
	return out
}

// writerInATightLoop counts up in an entry of its own, as a controller does that
// reads, changes and writes. Nothing of either is lost.
func writerInATightLoop(r *rig) {
	const rounds = 150
	r.run(nil)
	key := routeKey("contested")
	o := r.route("contested", "gw")
	r.known(key)
	var peer sync.WaitGroup
	done := make(chan struct{})
	count := 0
	peer.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			now := r.get(key)
			parents := slices.DeleteFunc(r.parents(now), func(p json.RawMessage) bool { return !strings.Contains(string(p), controller) })
			parents = append(parents, json.RawMessage(foreign("example.com/peer", "x", count+1)))
			_, err := r.patch(key, fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"status":{"parents":%s}}`, now.ResourceVersion, join(parents)), "status")
			if err == nil {
				count++
			} else if !apierrors.IsConflict(err) {
				r.Error(err)
			}
		}
	})
	for i := range rounds {
		v := verdict(o, "gw")
		v.Parents[0].Conditions[0].Message = fmt.Sprint("change ", i)
		for {
			if _, err := r.statuses.Apply(context.Background(), key, of(v)); err == nil {
				break
			} else if !apierrors.IsConflict(err) {
				r.Fatal(err)
			}
		}
	}
	close(done)
	peer.Wait()
	final := string(r.get(key).Status)
	if !strings.Contains(final, fmt.Sprint("change ", rounds-1)) || count == 0 || !strings.Contains(final, fmt.Sprintf("number %d ", count)) {
		r.Errorf("the peer wrote %d times: %s", count, final)
	}
	if conflicts := testutil.ToFloat64(r.statuses.metrics.conflicts.WithLabelValues(events.HTTPRoutes)); conflicts == 0 {
		r.Error("there was no conflict, so this shows nothing")
	}
}

// clobberedStatusIsTold: a writer that replaces the list without looking.
func clobberedStatusIsTold(r *rig) {
	s := r.run(nil)
	o := r.route("clobbered", "gw")
	key := routeKey("clobbered")
	r.known(key)
	r.apply(verdict(o, "gw"))
	r.known(key)
	s.cache.take()
	_, err := r.patch(key, `{"status":{"parents":[`+foreign("example.com/rude", "x", 1)+`]}}`, "status")
	r.must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		keys, err := s.Changed(ctx)
		r.must(err)
		if slices.Contains(keys, key) {
			break
		}
	}
	if !r.apply(verdict(o, "gw")) || len(r.parents(r.get(key))) != 2 {
		r.Errorf("got %s", r.get(key).Status)
	}
}

func goneAndThereAgain(r *rig) {
	r.run(nil)
	o := r.route("gone", "gw")
	key := routeKey("gone")
	r.known(key)
	stale, _ := r.statuses.cache.get(key)
	r.remove(key)
	r.eventually(func() error {
		if _, ok := r.statuses.cache.get(key); ok {
			return errors.New("still known")
		}
		return nil
	})
	if r.apply(verdict(o, "gw")) {
		r.Error("written to what is not there")
	}
	r.statuses.cache.wrote(key, stale) // the deletion was not seen yet
	if r.apply(verdict(o, "gw")) {
		r.Error("written to what is not there")
	}
	r.route("gone", "gw")
	if r.apply(verdict(o, "gw")) || len(r.parents(r.get(key))) > 0 {
		r.Error("written to an object with another UID")
	}
	r.known(key)
	if r.apply(verdict(o, "gw")) || len(r.parents(r.get(key))) > 0 {
		r.Error("written to an object with another UID")
	}
}

func removalTakesOnlyOurs(r *rig) {
	r.run(nil)
	o := r.route("removal", "gw")
	key := routeKey("removal")
	_, err := r.patch(key, `{"status":{"parents":[`+foreign("example.com/other", "x", 1)+`]}}`, "status")
	r.must(err)
	r.known(key)
	r.apply(verdict(o, "gw"))
	applied, err := r.statuses.Applied(context.Background())
	r.must(err)
	if !slices.Contains(applied, key) {
		r.Errorf("applied: %v", applied)
	}
	for _, want := range []bool{true, false} {
		if wrote, err := r.statuses.Remove(context.Background(), key); err != nil || wrote != want {
			r.Errorf("removed: %v, %v", wrote, err)
		}
	}
	if got := r.parents(r.get(key)); len(got) != 1 || string(got[0]) != r.others(key)[0] {
		r.Errorf("got %s", got)
	}
}

func fullListOfParents(r *rig) {
	r.run(nil)
	o := r.route("full", "a", "b")
	key := routeKey("full")
	var all []json.RawMessage
	for i := range 31 {
		all = append(all, json.RawMessage(foreign(fmt.Sprintf("example.com/%d", i), "x", i+1)))
	}
	_, err := r.patch(key, fmt.Sprintf(`{"status":{"parents":%s}}`, join(all)), "status")
	r.must(err)
	r.known(key)
	before := r.others(key)
	r.apply(verdict(o, "a", "b"))
	if got := r.parents(r.get(key)); len(got) != 32 || !strings.Contains(string(got[31]), `"name":"a"`) || !slices.Equal(r.others(key), before) {
		r.Errorf("got %d: %s", len(got), got[len(got)-1])
	}
}

func longMessages(r *rig) {
	r.run(nil)
	o := r.route("long", "gw")
	key := routeKey("long")
	r.known(key)
	v := verdict(o, "gw")
	v.Parents[0].Conditions[0].Message = strings.Repeat("ä", 40_000)
	v.Parents[0].Conditions[1].Reason = " 9 lives: not legal,"
	if !r.apply(v) || r.apply(v) {
		r.Error("to be written once")
	}
	if got := string(r.get(key).Status); !strings.Contains(got, `"livesnotlegal"`) && !strings.Contains(got, `"lives:notlegal"`) {
		r.Errorf("got %s", got[len(got)-500:])
	}
}

func gatewayAndClass(r *rig) {
	r.run(nil)
	class := events.Key{Resource: events.GatewayClasses, Name: "rutter"}
	c := r.create(class, fmt.Sprintf(`{"controllerName":%q}`, controller))
	g := r.create(gatewayKey("gw"), gatewaySpec)
	r.known(class)
	r.known(gatewayKey("gw"))
	accepted := []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "Yes."}}
	r.apply(routing.Verdict{Object: class, UID: string(c.UID), Generation: 1, Conditions: accepted, Features: []string{"Gateway", "HTTPRoute"}})
	_, err := r.patch(gatewayKey("gw"), `{"status":{"conditions":[{"type":"example.com/Seen","status":"True","reason":"Seen","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, "status")
	r.must(err)
	r.known(gatewayKey("gw"))
	v := routing.Verdict{
		Object: gatewayKey("gw"), UID: string(g.UID), Generation: 1, Conditions: accepted, Addresses: []string{"10.0.0.1", "lb.example.com"},
		Listeners: []routing.ListenerVerdict{{Name: "http", AttachedRoutes: 3, Conditions: accepted, SupportedKinds: []routing.GroupKind{{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}}}},
	}
	if !r.apply(v) || r.apply(v) {
		r.Error("to be written once")
	}
	status := string(r.get(gatewayKey("gw")).Status)
	for _, want := range []string{`"type":"example.com/Seen"`, `"value":"10.0.0.1"`, `"type":"Hostname"`, `"attachedRoutes":3`, `"type":"Programmed"`} {
		if !strings.Contains(status, want) {
			r.Errorf("%s is not in %s", want, status)
		}
	}
	if status := string(r.get(class).Status); !strings.Contains(status, `"name":"HTTPRoute"`) {
		r.Errorf("got %s", status)
	}
	v.Addresses, v.Listeners[0].AttachedRoutes = nil, 4
	r.apply(v)
	if status := string(r.get(gatewayKey("gw")).Status); strings.Contains(status, "addresses") || !strings.Contains(status, "Seen") {
		r.Errorf("got %s", status)
	}
	if wrote, err := r.statuses.Remove(context.Background(), gatewayKey("gw")); wrote || err != nil {
		r.Errorf("a Gateway that may be another controller's was written: %v", err)
	}
}

func listenerSet(r *rig) {
	r.run(nil)
	key := events.Key{Resource: events.ListenerSets, Namespace: "default", Name: "set"}
	o := r.create(key, `{"parentRef":{"name":"gw"},"listeners":[{"name":"web","port":80,"protocol":"HTTP"}]}`)
	r.known(key)
	accepted := []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "Yes."}}
	v := routing.Verdict{
		Object: key, UID: string(o.UID), Generation: 1, Conditions: accepted, Gateway: "default/gw",
		Listeners: []routing.ListenerVerdict{{Name: "web", AttachedRoutes: 3, Conditions: accepted, SupportedKinds: []routing.GroupKind{{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}}}},
	}
	if !r.apply(v) || r.apply(v) {
		r.Error("to be written once")
	}
	status := string(r.get(key).Status)
	for _, want := range []string{`"name":"web"`, `"attachedRoutes":3`, `"type":"Programmed"`, `"reason":"Accepted"`} {
		if !strings.Contains(status, want) {
			r.Errorf("%s is not in %s", want, status)
		}
	}
	if wrote, err := r.statuses.Remove(context.Background(), key); wrote || err != nil {
		r.Errorf("a ListenerSet that may be another controller's was written: %v", err)
	}
}

func routingPin(r *rig) {
	r.run(nil)
	key := events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "gw"}
	o := r.create(key, fmt.Sprintf(`{"gatewayRef":{"name":"gw"},"version":"I/41","digest":"%064d"}`, 7))
	r.known(key)
	v := routing.Verdict{Object: key, UID: string(o.UID), Generation: 1, Conditions: []routing.Condition{{Type: "Accepted", Status: "False", Reason: "VersionNotKept", Message: "It is no longer kept."}}}
	if !r.apply(v) || r.apply(v) {
		r.Error("to be written once")
	}
	if status := string(r.get(key).Status); !strings.Contains(status, `"reason":"VersionNotKept"`) {
		r.Errorf("the status is %s", status)
	}
	if wrote, err := r.statuses.Remove(context.Background(), key); wrote || err != nil {
		r.Errorf("a RoutingPin of another controller's Gateway was written: %v", err)
	}
}

func TestErrorsThatAreNoneOfTheObjectsAreTold(t *testing.T) {
	memory, api := newMemoryAPI(t)
	r := newRig(t, api)
	r.run(nil)
	o := r.route("r", "gw")
	r.known(routeKey("r"))
	for code, away := range map[int]bool{429: true, 500: true, 503: true, 403: false, 422: false} {
		memory.setFault(func(q *http.Request) int {
			if q.Method == http.MethodPatch {
				return code
			}
			return 0
		})
		_, err := r.statuses.Apply(t.Context(), routeKey("r"), of(verdict(o, "gw")))
		if err == nil || errors.Is(err, statuswriter.ErrUnavailable) != away {
			t.Errorf("%d: %v", code, err)
		}
	}
	memory.setFault(func(*http.Request) int { return 0 })
	if !r.apply(verdict(o, "gw")) {
		t.Error("not written")
	}
}

func TestItIsSyncedOnceEveryKindIsListed(t *testing.T) {
	memory, api := newMemoryAPI(t)
	memory.setFault(func(q *http.Request) int {
		if strings.HasSuffix(q.URL.Path, "/gateways") {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	r := newRig(t, api)
	s := r.run(nil)
	r.route("r", "gw")
	r.known(routeKey("r"))
	r.eventually(func() error {
		if err := s.Synced(); err == nil || !strings.HasPrefix(err.Error(), "gateways are not listed yet") {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
	memory.setFault(func(*http.Request) int { return 0 })
	r.eventually(s.Synced)
}

func TestAKindThatMayNotBeReadOrIsNotInstalledHoldsUpNoOther(t *testing.T) {
	for name, code := range map[string]int{"forbidden": http.StatusForbidden, "not installed": http.StatusNotFound} {
		t.Run(name, func(t *testing.T) { testWithoutAKind(t, code) })
	}
}

func testWithoutAKind(t *testing.T, code int) {
	memory, api := newMemoryAPI(t)
	memory.setFault(func(q *http.Request) int {
		if strings.HasSuffix(q.URL.Path, "/gateways") {
			return code
		}
		return 0
	})
	r := newRig(t, api)
	s := r.run(nil)
	o := r.route("r", "gw")
	r.known(routeKey("r"))
	if !r.apply(verdict(o, "gw")) {
		t.Error("not written")
	}
	r.eventually(s.Synced)
	if got := testutil.ToFloat64(s.metrics.unreadable.WithLabelValues(events.Gateways)); got != 1 {
		t.Errorf("unreadable: %v", got)
	}
	memory.setFault(func(*http.Request) int { return 0 })
	r.create(gatewayKey("gw"), gatewaySpec)
	r.known(gatewayKey("gw"))
	if got := testutil.ToFloat64(s.metrics.unreadable.WithLabelValues(events.Gateways)); got != 0 {
		t.Errorf("unreadable: %v", got)
	}
}

func TestAnAPIServerThatWasAwayIsFollowedAgain(t *testing.T) {
	memory, api := newMemoryAPI(t)
	r := newRig(t, api)
	s := r.run(nil)
	r.route("stays", "gw")
	r.route("goes", "gw")
	r.known(routeKey("stays"))
	r.known(routeKey("goes"))
	memory.leave()
	if _, err := s.Apply(t.Context(), routeKey("stays"), of(verdict(&object{}, "gw"))); err != nil {
		t.Errorf("an object with another UID: %v", err)
	}
	// What happens meanwhile no watch will ever say.
	memory.mu.Lock()
	path := "namespaces/default/httproutes/goes"
	memory.store(path, "DELETED", memory.objects[path])
	memory.mu.Unlock()
	memory.comeBack()
	r.eventually(func() error {
		return r.clients.of(events.HTTPRoutes).Get().Resource(events.Gateways).Do(t.Context()).Error()
	})
	o := r.route("new", "gw")
	r.known(routeKey("new"))
	if _, ok := s.cache.get(routeKey("goes")); ok {
		t.Error("what is gone is still known")
	}
	if !r.apply(verdict(o, "gw")) || !r.apply(verdict(r.get(routeKey("stays")), "gw")) {
		t.Error("not written")
	}
}

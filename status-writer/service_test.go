package statuswriter_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

func TestProgrammedFollowsTheEnvoys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(5, gatewayVerdict(1, 5))
		w.start()
		w.publish(10, routeVerdict("r", 1, 8))
		w.want(gatewayKey(), "False/Pending@1")
		w.want(routeKey("r"), "False/Pending@1")
		w.report("a", nil, 5)
		w.want(gatewayKey(), "True/Programmed@1")
		w.want(routeKey("r"), "False/Pending@1")
		w.report("a", nil, 10)
		w.want(routeKey("r"), "True/Programmed@1")
		w.report("b", nil, 0) // a newcomer
		w.want(gatewayKey(), "True/Programmed@1")
		w.publish(11, routeVerdict("r", 2, 11))
		w.report("a", nil, 11)
		w.want(routeKey("r"), "False/Pending@2") // the newcomer has nothing yet
		w.report("b", nil, 11)
		w.want(routeKey("r"), "True/Programmed@2")
	})
}

func TestAListenerSetFollowsTheEnvoysOfItsGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := events.Key{Resource: events.ListenerSets, Namespace: "team", Name: "set"}
		w.publish(5, gatewayVerdict(1, 5))
		w.start()
		w.publish(8, routing.Verdict{Object: key, UID: "set", Generation: 1, Since: 8, Gateway: gateway})
		w.want(key, "False/Pending@1")
		w.says(key, "No Envoy")
		w.report("a", nil, 5)
		w.want(key, "False/Pending@1")
		w.says(key, "Not every Envoy")
		w.report("a", nil, 8)
		w.want(key, "True/Programmed@1")
	})
}

// A generation that something else kept back is run by no Envoy that holds a version from
// before it was let go, however long ago it was recorded.
func TestWhatWasKeptBackIsProgrammedOnceTheEnvoysRunIt(t *testing.T) {
	pinned := func(v routing.Verdict) routing.Verdict {
		v.Parents[0].Conditions = append(v.Parents[0].Conditions, routing.Condition{Type: routing.ConditionProgrammed, Status: "False", Reason: "Pinned"})
		return v
	}
	refused := func(v routing.Verdict) routing.Verdict {
		v.Parents[0].Conditions[0].Status = "False"
		return v
	}
	elsewhere := func(v routing.Verdict) routing.Verdict {
		v.Parents[0].Ref.Name = "another"
		return v
	}
	for name, kept := range map[string]func(routing.Verdict) routing.Verdict{"by a pin": pinned, "by its parent": refused, "from one parent": elsewhere} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish(5, gatewayVerdict(1, 5), kept(routeVerdict("r", 1, 5)))
				w.start()
				w.publish(10, kept(routeVerdict("r", 2, 10)))
				w.report("a", nil, 10)
				w.pass(2 * time.Second)
				w.publish(11, routeVerdict("r", 2, 10))
				w.want(routeKey("r"), "False/Pending@2")
				w.report("a", nil, 11)
				w.want(routeKey("r"), "True/Programmed@2")
				w.report("b", nil, 10) // a newcomer
				w.want(routeKey("r"), "True/Programmed@2")
				w.publish(12, routeVerdict("r", 3, 12))
				w.report("b", nil, 12)
				w.report("a", nil, 12)
				w.want(routeKey("r"), "True/Programmed@3")
			})
		})
	}
}

func TestAListenerThatBecomesValidIsProgrammedOnceTheEnvoysRunIt(t *testing.T) {
	listener := func(conditions ...routing.Condition) routing.Verdict {
		v := gatewayVerdict(1, 5)
		v.Listeners = []routing.ListenerVerdict{{Name: "https", Conditions: conditions}}
		return v
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(5, listener(routing.Condition{Type: "Programmed", Status: "False", Reason: "Invalid"}))
		w.start()
		w.report("a", nil, 5)
		w.want(gatewayKey(), "True/Programmed@1")
		w.publish(6, listener()) // its Secret has come
		w.wantListener(metav1.ConditionFalse)
		w.report("a", nil, 6)
		w.wantListener(metav1.ConditionTrue)
	})
}

// What was kept back by then is not known to who starts later.
func TestAfterAStartNothingIsProgrammedBeforeTheEnvoysHoldThatVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5), routeVerdict("r", 1, 8))
		w.start()
		w.report("a", nil, 9)
		w.want(routeKey("r"), "False/Pending@1")
		w.report("a", nil, 10)
		w.want(routeKey("r"), "True/Programmed@1")
	})
}

func TestSilentServerCountsAsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5))
		w.start()
		w.report("crashed", nil, 1)
		for range 4 {
			w.report("alive", nil, 10)
			w.want(gatewayKey(), "False/Pending@1")
		}
		w.report("alive", nil, 10)
		w.pass(time.Second)
		w.want(gatewayKey(), "True/Programmed@1")
	})
}

func TestRefusalIsToldToWhoCausedItUntilItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5), routeVerdict("r", 1, 8), routeVerdict("other", 1, 8))
		w.start()
		w.report("a", nil, 10)
		w.report("a", []routing.Refusal{{Origin: routeKey("r"), Reason: "bad regex"}}, 10)
		w.want(routeKey("r"), "False/Refused@1")
		w.want(routeKey("other"), "True/Programmed@1")
		w.want(gatewayKey(), "True/Programmed@1")
		w.report("a", []routing.Refusal{{Origin: events.Key{Resource: events.Services, Namespace: "default", Name: "s"}, Reason: "bad host"}}, 10)
		w.want(routeKey("r"), "True/Programmed@1")
		w.want(gatewayKey(), "False/Invalid@1") // a Service has no conditions
		w.report("a", []routing.Refusal{{Origin: events.Key{Resource: events.Secrets, Namespace: "team", Name: "cert"}, Reason: "bad key"}}, 10)
		w.want(gatewayKey(), "True/Programmed@1") // it may be that of a ListenerSet
	})
}

// A receipt may be read ahead of the version that it is about.
func TestARefusalThatComesAheadOfTheObjectIsToldToTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5))
		w.start()
		w.report("a", []routing.Refusal{{Origin: routeKey("late"), Reason: "bad regex"}}, 10)
		w.want(gatewayKey(), "False/Invalid@1") // who else
		w.publish(11, routeVerdict("late", 1, 11))
		w.want(routeKey("late"), "False/Refused@1")
		w.want(gatewayKey(), "True/Programmed@1")
		w.publishGone(12, []events.Key{routeKey("late")})
		w.want(gatewayKey(), "False/Invalid@1")
	})
}

func TestStatusOfWhatIsGoneIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.statuses.objects[routeKey("forgotten")] = conditions.Object{}
		w.publish(10, gatewayVerdict(1, 5), routeVerdict("r", 1, 8))
		w.start()
		w.publishGone(11, []events.Key{routeKey("r")})
		w.pass(time.Second)
		if keys, _ := w.statuses.Applied(t.Context()); !slices.Equal(keys, []events.Key{gatewayKey()}) {
			t.Errorf("got %v", keys)
		}
	})
}

func TestFailedWriteIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.statuses.failing[gatewayKey()] = 3
		w.publish(10, gatewayVerdict(1, 5))
		w.start()
		w.want(gatewayKey(), "")
		w.counts(1, 0)
		<-time.After(10 * time.Second) // 1 + 2 + 4, and a tick
		synctest.Wait()
		w.want(gatewayKey(), "False/Pending@1")
		w.counts(0, 1)
		if n := gwtest.Metric(t, w.registry, "rutter_status_errors_total", "resource=gateways"); n != 3 {
			t.Errorf("%v attempts failed", n)
		}
		w.publish(11, routeVerdict("r", 1, 11))
		if n := gwtest.Metric(t, w.registry, "rutter_status_delay_seconds"); n != 1 {
			t.Errorf("of %v versions it is told how long they took", n)
		}
	})
}

func TestItIsReadyOnceTheNewestVersionIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5))
		w.loading = make(chan struct{})
		w.start()
		if err := w.service.Ready(); err == nil || err.Error() != "reading SNAPSHOTS" {
			t.Errorf("before it is read: %v", err)
		}
		close(w.loading)
		synctest.Wait()
		if err := w.service.Ready(); err != nil {
			t.Error(err)
		}
		w.want(gatewayKey(), "False/Pending@1")
	})
}

func TestOldVersionsAreNotWrittenAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range int64(50) {
			w.publish(uint64(10+i), gatewayVerdict(i+1, uint64(10+i)))
		}
		w.start()
		if n := w.touched(); n != 1 {
			t.Errorf("looked at %d objects", n)
		}
		w.want(gatewayKey(), "False/Pending@50")
	})
}

func TestChangeCostsTheObjectsThatItConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		verdicts := []routing.Verdict{gatewayVerdict(1, 1)}
		for i := range 2000 {
			verdicts = append(verdicts, routeVerdict(fmt.Sprintf("r%04d", i), 1, 2))
		}
		w.publish(10, verdicts...)
		w.report("a", nil, 10)
		w.start()
		w.want(routeKey("r1999"), "True/Programmed@1")
		w.touched()
		w.publish(11, routeVerdict("r0007", 2, 11))
		if n := w.touched(); n != 1 {
			t.Errorf("a changed verdict: looked at %d objects", n)
		}
		w.report("a", nil, 11)
		if n := w.touched(); n != 1 {
			t.Errorf("a fleet that moved on: looked at %d objects", n)
		}
		w.report("a", nil, 12)
		if n := w.touched(); n != 0 {
			t.Errorf("a fleet that nobody waits for: looked at %d objects", n)
		}
		w.want(routeKey("r0007"), "True/Programmed@2")
	})
}

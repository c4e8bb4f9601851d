package statuswriter_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

func TestAcceptedAndProgrammedAreOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5))
		w.report("a", nil, 10)
		w.start()
		w.publish(11, routeVerdict("quick", 1, 11), routeVerdict("slow", 1, 12))
		w.pass(200 * time.Millisecond)
		if n := w.statuses.written(routeKey("quick")); n != 0 {
			t.Errorf("written %d times before the Envoy had it", n)
		}
		w.report("a", nil, 11)
		if quick, slow := w.statuses.written(routeKey("quick")), w.statuses.written(routeKey("slow")); quick != 1 || slow != 0 {
			t.Errorf("written %d and %d times, want 1 and 0", quick, slow)
		}
		w.pass(900 * time.Millisecond) // an Envoy that does not come up does not hold a status up
		w.wantNow(routeKey("slow"), "False/Pending@1")
		w.report("a", nil, 12)
		w.want(routeKey("slow"), "True/Programmed@1")
		w.want(routeKey("quick"), "True/Programmed@1")
		if quick, slow := w.statuses.written(routeKey("quick")), w.statuses.written(routeKey("slow")); quick != 1 || slow != 2 {
			t.Errorf("written %d and %d times, want 1 and 2", quick, slow)
		}
	})
}

func TestWithoutAnEnvoyNothingIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5))
		w.start()
		w.publish(11, routeVerdict("r", 1, 11))
		w.wantNow(routeKey("r"), "False/Pending@1")
	})
}

func TestAServerIsKnownByWhatItRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listen()
		w.publish(10, gatewayVerdict(1, 5), routeVerdict("r", 1, 10))
		w.start()
		// What it recorded long ago is not read; until it repeats that, nobody knows
		// whether there are Envoys.
		w.pass(900 * time.Millisecond)
		w.repeat(7, receipt("a", nil, 10))
		w.wantNow(routeKey("r"), "True/Programmed@1")
		if n := w.statuses.written(routeKey("r")); n != 1 {
			t.Errorf("written %d times", n)
		}
		// A heartbeat that is behind what is recorded takes nothing back, and keeps the
		// server alive; when it falls silent, its Envoys are gone.
		w.publish(11, routeVerdict("r", 2, 11))
		w.report("a", nil, 11)
		for range 10 {
			w.repeat(0, receipt("a", nil, 11))
			w.pass(events.HeartbeatEvery)
		}
		w.want(routeKey("r"), "True/Programmed@2")
		w.publish(12, routeVerdict("r", 3, 12))
		w.want(routeKey("r"), "False/Pending@3")
		w.pass(6 * time.Second)
		w.publish(13, routeVerdict("other", 1, 13))
		w.wantNow(routeKey("other"), "False/Pending@1")
	})
}

func TestAHeartbeatBehindTheRecordTakesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listen()
		w.publish(10, gatewayVerdict(1, 5))
		w.start()
		w.repeat(1, receipt("a", nil, 4)) // is recorded next
		w.report("a", nil, 4)
		w.report("a", nil, 11)
		w.repeat(1, receipt("a", nil, 4)) // was under way
		w.publish(11, routeVerdict("r", 1, 11))
		w.wantNow(routeKey("r"), "True/Programmed@1")
	})
}

func TestAnEnvoyThatMovedToAnotherServerCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5), routeVerdict("r", 1, 8))
		w.start()
		envoy := func(server string, connected time.Time, held uint64) *routing.Receipt {
			return &routing.Receipt{Server: server, Envoys: []routing.EnvoyReceipt{{
				Node: "envoy", Gateway: gateway, Connected: connected, Held: version(held),
			}}}
		}
		w.publishReceipt(envoy("crashed", time.Now(), 5))
		w.want(routeKey("r"), "False/Pending@1")
		w.publishReceipt(envoy("other", time.Now(), 10))
		w.wantNow(routeKey("r"), "True/Programmed@1")
	})
}

func TestWhileTheAPIIsAwayLittleIsTriedAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		verdicts := []routing.Verdict{gatewayVerdict(1, 1)}
		for i := range 1000 {
			verdicts = append(verdicts, routeVerdict(fmt.Sprintf("r%04d", i), 1, 2))
		}
		w.publish(10, verdicts...)
		w.statuses.setAway(true)
		w.start()
		w.pass(30 * time.Second)
		if n := w.touched(); n > 2000 {
			t.Errorf("%d attempts in 30 s", n)
		}
		w.statuses.setAway(false)
		w.pass(5 * time.Second)
		for i := range 1000 {
			w.wantNow(routeKey(fmt.Sprintf("r%04d", i)), "False/Pending@1")
		}
	})
}

func TestAStatusThatSomebodyChangedIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(10, gatewayVerdict(1, 5), routeVerdict("r", 1, 8))
		w.start()
		w.report("a", nil, 10)
		w.want(routeKey("r"), "True/Programmed@1")
		w.statuses.clobber(routeKey("r"))
		w.statuses.changed <- []events.Key{routeKey("r")}
		w.want(routeKey("r"), "True/Programmed@1")
	})
}

package faults

import (
	"net/http"
	"testing"
)

func TestNoRequestFailsWhenARoleIsKilled(t *testing.T) {
	r := newRig(t)
	begun := r.traffic("first")
	for _, role := range roles {
		r.kill(rutter, role)
		r.works("after-" + role)
		if role == "provisioner" {
			r.apply(gatewayOf("another"))
			r.awaitGateway("another")
		}
		r.awaitWell()
		r.flawless(role+" was killed", begun)
	}
}

// The agent of an Envoy says whether that is ready; without it, the other Envoys take
// over.
func TestNoRequestFailsWhenTheAgentOfAnEnvoyIsKilled(t *testing.T) {
	r := newRig(t)
	r.kubectl("scale", "deployment", "gw-rutter", "--replicas=2")
	r.kubectl("rollout", "status", "deployment", "gw-rutter", "--timeout=60s")
	begun := r.traffic("first")
	r.kill(r.namespace, "agent")
	r.kubectl("rollout", "status", "deployment", "gw-rutter", "--timeout=60s")
	r.awaitMore(begun, 50)
	r.flawless("an agent was killed", begun)
}

// What an Envoy was answering is lost with it, and nothing else: its connections are
// the one that was kept and the one that was new.
func TestNoMoreFailsThanWasUnderWayWhenAnEnvoyIsKilled(t *testing.T) {
	r := newRig(t)
	r.kubectl("scale", "deployment", "gw-rutter", "--replicas=2")
	r.kubectl("rollout", "status", "deployment", "gw-rutter", "--timeout=60s")
	begun := r.traffic("first")
	for range 3 {
		r.kill(r.namespace, "envoy")
		r.awaitMore(begun, 50)
		r.kubectl("rollout", "status", "deployment", "gw-rutter", "--timeout=60s")
		tally := begun.Take()
		t.Logf("an Envoy was killed: %s", tally)
		if tally.Errors > 2 {
			t.Errorf("%d requests failed; the first: %v", tally.Errors, tally.First)
		}
		tally.Errors = 0
		r.must(tally.Only(http.StatusOK))
	}
	r.awaitMore(begun, 50)
	r.flawless("all Envoys are back", begun)
}

func TestNoRequestFailsWhileEnvoyIsReplaced(t *testing.T) {
	r := newRig(t)
	begun := r.traffic("first")
	old := r.processOf(r.namespace, "envoy")
	r.kubectl("rollout", "restart", "deployment", "gw-rutter")
	r.kubectl("rollout", "status", "deployment", "gw-rutter", "--timeout=90s")
	r.eventually("the old Envoy has ended", func() error { return r.ended(old) })
	r.flawless("Envoy was replaced", begun)
	if status, err := r.answer("nobody"); err != nil || status != http.StatusNotFound {
		t.Errorf("a host that nobody has answers %d, %v", status, err)
	}
}

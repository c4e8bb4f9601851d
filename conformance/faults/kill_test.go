package faults

import (
	"net/http"
	"testing"

	"github.com/rutter-gateway/rutter/conformance/internal/traffic"
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
	r.awaitMoreThan(begun)
	r.flawless("an agent was killed", begun)
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

// awaitMoreThan waits for more traffic, and forgets none.
func (r *rig) awaitMoreThan(begun *traffic.Traffic) {
	r.Helper()
	before := total(begun.Peek())
	r.eventually("more traffic", func() error { return atLeast(total(begun.Peek()), before+50) })
}

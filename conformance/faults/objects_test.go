package faults

import (
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTheShareOfADeletedServiceIs500UntilItReturns(t *testing.T) {
	r := newRig(t)
	r.apply(serviceOf("half"), routeOf("shared", "echo", "half"))
	r.awaitAnswer("shared", http.StatusOK)
	r.eventually("both are found", func() error { return r.routeIs("shared", "ResolvedRefs", metav1.ConditionTrue, "") })
	begun, others := r.traffic("shared"), r.traffic("first")
	r.flawless("before", begun)

	r.kubectl("delete", "service", "half", "--wait=false")
	r.eventually("ResolvedRefs is False", func() error {
		return r.routeIs("shared", "ResolvedRefs", metav1.ConditionFalse, "BackendNotFound")
	})
	r.eventually("a share of 500", func() error { return atLeast(begun.Peek().Answers[500], 1) })
	// Its endpoints take a shorter way, and may be gone before it is, which is 503.
	r.only("while the Service went", begun, 200, 500, 503)
	r.awaitMore(begun, 200)
	gone := r.only("without the Service", begun, 200, 500)
	if share := float64(gone.Answers[500]) / float64(total(gone)); share < 0.3 || share > 0.7 {
		t.Errorf("without the Service: %s, want half of it 200 and half 500", gone)
	}

	r.apply(serviceOf("half"))
	r.eventually("ResolvedRefs is True", func() error { return r.routeIs("shared", "ResolvedRefs", metav1.ConditionTrue, "") })
	// A new Service has no endpoints at first, for which the answer is 503.
	r.eventually("nothing but 200", func() error {
		r.awaitMore(begun, 20)
		return r.only("while the Service returns", begun, 200, 500, 503).Only(http.StatusOK)
	})
	r.awaitMore(begun, 100)
	r.flawless("after the Service has returned", begun)
	r.flawless("another route", others)
}

func TestObjectsDeletedWhileIngestIsAwayAreGoneWhenItReturns(t *testing.T) {
	r := newRig(t)
	r.apply(routeOf("doomed", "echo"), gatewayOf("doomed"))
	r.awaitAnswer("doomed", http.StatusOK)
	r.awaitGateway("doomed")
	begun := r.traffic("first")

	back := r.away()
	r.kubectl("delete", "httproute/doomed", "gateway/doomed")
	if status, err := r.answer("doomed"); err != nil || status != http.StatusOK {
		t.Errorf("nobody knows that it is deleted, and it answers %d, %v", status, err)
	}
	back()
	r.awaitAnswer("doomed", http.StatusNotFound)
	r.works("after")
	r.eventually("the Envoy of the Gateway has ended", func() error {
		_, err := r.programs.Kubectl(r.Context(), "-n", r.namespace, "wait", "--for=delete", "deployment/doomed-rutter", "--timeout=60s")
		return err
	})
	r.flawless("objects were deleted unseen", begun)
}

package kube

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

const policySpec = `{"targetRefs":[{"group":"","kind":"Service","name":"s"}],"validation":{"hostname":"a.test","wellKnownCACertificates":"System"}}`

func policyVerdict(o *object, gateways ...string) routing.Verdict {
	v := verdict(o, gateways...)
	v.Object.Resource = events.BackendTLSPolicies
	v.Ancestors, v.Parents = v.Parents, nil
	return v
}

// ancestors are those of a policy's status, as the API server wrote them.
func (r *rig) ancestors(key events.Key) (ours, others []string) {
	r.Helper()
	var status struct{ Ancestors []json.RawMessage }
	if o := r.get(key); len(o.Status) > 0 {
		r.must(json.Unmarshal(o.Status, &status))
	}
	for _, a := range status.Ancestors {
		if strings.Contains(string(a), controller) {
			ours = append(ours, string(a))
		} else {
			others = append(others, string(a))
		}
	}
	return ours, others
}

func ancestorsOfOthersStay(r *rig) {
	r.run(nil)
	key := events.Key{Resource: events.BackendTLSPolicies, Namespace: "default", Name: "policy"}
	o := r.create(key, policySpec)
	r.known(key)
	v := policyVerdict(o, "a", "b")
	if !r.apply(v) || r.apply(v) {
		r.Error("a status is to be written once")
	}
	ours, _ := r.ancestors(key)
	if len(ours) != 2 || !strings.Contains(ours[0], `"observedGeneration":1`) || strings.Contains(ours[0], "rutter.dev/Programmed") {
		r.Fatalf("got %s", ours)
	}
	entry := strings.Replace(foreign("example.com/other", "x", 1), "parentRef", "ancestorRef", 1)
	_, err := r.patch(key, fmt.Sprintf(`{"status":{"ancestors":[%s,%s,%s]}}`, ours[0], entry, ours[1]), "status")
	r.must(err)
	_, before := r.ancestors(key)
	v.Ancestors = v.Ancestors[1:]
	v.Ancestors[0].Conditions[0] = routing.Condition{Type: "Accepted", Status: "False", Reason: "Conflicted", Message: "Another one."}
	r.known(key)
	if !r.apply(v) {
		r.Fatal("not written")
	}
	ours, others := r.ancestors(key)
	if len(ours) != 1 || !strings.Contains(ours[0], "Conflicted") || !strings.Contains(ours[0], `"name":"b"`) {
		r.Errorf("got %s", ours)
	}
	if len(others) != 1 || others[0] != before[0] {
		r.Errorf("the entry of another controller was\n%s\nand is\n%s", before, others)
	}
	r.known(key)
	if wrote, err := r.statuses.Remove(r.Context(), key); err != nil || !wrote {
		r.Fatalf("not removed: %v", err)
	}
	if ours, others = r.ancestors(key); len(ours) != 0 || len(others) != 1 || others[0] != before[0] {
		r.Errorf("after the removal there are ours %s and others %s", ours, others)
	}
}

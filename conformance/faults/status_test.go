package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Both write at once, and often enough that they meet.
func TestAnotherWriterOfAStatusKeepsWhatIsItsOwn(t *testing.T) {
	r := newRig(t)
	const rounds = 40
	routes := r.gateway.GatewayV1().HTTPRoutes(r.namespace)
	foreign := func(i int) metav1.Condition {
		return metav1.Condition{
			Type: "example.com/Checked", Status: metav1.ConditionTrue, Reason: "Round", Message: fmt.Sprintf("%d · <&>", i),
			LastTransitionTime: metav1.Now().Rfc3339Copy(), ObservedGeneration: int64(i),
		}
	}
	r.eventually("our entry", func() error { return r.routeIs("first", "Accepted", metav1.ConditionTrue, "") })
	patiently := wait.Backoff{Duration: time.Millisecond, Jitter: 5, Steps: 200} // three write at once
	var writing sync.WaitGroup
	var problem error
	writing.Go(func() {
		for i := 1; i <= rounds && problem == nil; i++ {
			problem = retry.RetryOnConflict(patiently, func() error {
				route, err := routes.Get(t.Context(), "first", metav1.GetOptions{})
				if err != nil {
					return err
				}
				setForeign(route, foreign(i))
				_, err = routes.UpdateStatus(t.Context(), route, metav1.UpdateOptions{})
				return err
			})
		}
	})
	for i := range rounds {
		r.must(retry.RetryOnConflict(patiently, func() error {
			route, err := routes.Get(t.Context(), "first", metav1.GetOptions{})
			if err != nil {
				return err
			}
			route.Spec.Hostnames = []gatewayv1.Hostname{"first.example.com", gatewayv1.Hostname(fmt.Sprintf("round-%d.example.com", i))}
			_, err = routes.Update(t.Context(), route, metav1.UpdateOptions{})
			return err
		}))
	}
	writing.Wait()
	r.must(problem)
	before := r.foreignParts("first")
	r.eventually("our entry", func() error { return r.routeIs("first", "rutter.dev/Programmed", metav1.ConditionTrue, "") })
	r.apply(routeOf("first", "nobody"))
	r.eventually("our entry changes", func() error { return r.routeIs("first", "ResolvedRefs", metav1.ConditionFalse, "") })
	if after := r.foreignParts("first"); after != before || strings.Count(after, "Checked") != 2 || !strings.Contains(after, fmt.Sprintf("%d · ", rounds)) {
		t.Errorf("what is foreign was\n%s\nand is\n%s", before, after)
	}
}

// setForeign puts a condition into an entry of another controller and into ours.
func setForeign(route *gatewayv1.HTTPRoute, condition metav1.Condition) {
	theirs := gatewayv1.RouteParentStatus{
		ParentRef: gatewayv1.ParentReference{Name: "theirs"}, ControllerName: "example.com/other", Conditions: []metav1.Condition{condition},
	}
	kept := []gatewayv1.RouteParentStatus{theirs}
	for _, parent := range route.Status.Parents {
		if parent.ControllerName == theirs.ControllerName {
			continue
		}
		conditions := []metav1.Condition{condition}
		for _, each := range parent.Conditions {
			if each.Type != condition.Type {
				conditions = append(conditions, each)
			}
		}
		parent.Conditions = conditions
		kept = append(kept, parent)
	}
	route.Status.Parents = kept
}

// foreignParts are the bytes of what is not ours in the status of a route.
func (r *rig) foreignParts(name string) string {
	r.Helper()
	raw, err := r.gateway.GatewayV1().RESTClient().Get().Resource("httproutes").Namespace(r.namespace).Name(name).DoRaw(r.Context())
	r.must(err)
	var route struct {
		Status struct{ Parents []json.RawMessage }
	}
	r.must(json.Unmarshal(raw, &route))
	var parts [][]byte
	for _, parent := range route.Status.Parents {
		var entry struct {
			ControllerName string
			Conditions     []json.RawMessage
		}
		r.must(json.Unmarshal(parent, &entry))
		if entry.ControllerName != controller {
			parts = append(parts, parent)
			continue
		}
		for _, condition := range entry.Conditions {
			if bytes.Contains(condition, []byte("example.com/Checked")) {
				parts = append(parts, condition)
			}
		}
	}
	return string(bytes.Join(parts, []byte("\n")))
}

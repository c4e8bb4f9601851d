package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	var writing sync.WaitGroup
	var problem error
	writing.Go(func() {
		for i := 1; i <= rounds && problem == nil; i++ {
			problem = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
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
		r.must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
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

const grpcRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: kept}
spec:
  parentRefs: [{name: gw}]
  hostnames: [kept.example.com]
  rules: [{backendRefs: [{name: echo, port: 80}]}]
`

func TestAKindThatIsForbiddenIsSaidAndTheOthersGoOn(t *testing.T) {
	r := newRig(t)
	r.apply(grpcRoute)
	r.eventually("both routes are attached", func() error { return r.attached(2) })
	begun := r.traffic("first")
	restore := r.forbid("grpcroutes")
	t.Cleanup(restore)
	// What is open stays open; a new process has to ask.
	r.must(syscall.Kill(r.processOf(rutter, "ingest").PID, syscall.SIGKILL))
	r.eventually("it is said", func() error {
		condition := r.synced(r.Context())
		if condition != nil && !strings.Contains(condition.Message, "grpcroutes") {
			return fmt.Errorf("the message is %q", condition.Message)
		}
		return is(condition, metav1.ConditionFalse, "Forbidden")
	})
	if log := r.logOf("ingest"); !strings.Contains(log, "a kind cannot be listed") || !strings.Contains(log, "grpcroutes.gateway.networking.k8s.io is forbidden") {
		t.Error("the log does not say it")
	}
	r.works("meanwhile")
	r.eventually("what was recorded stays in force", func() error { return r.attached(3) })

	restore()
	r.kubectl("delete", "grpcroute", "kept")
	r.eventually("it is followed again", func() error { return r.attached(2) })
	r.eventually("everything is synced", func() error { return is(r.synced(r.Context()), metav1.ConditionTrue, "") })
	r.flawless("a kind was forbidden", begun)
	if status, err := r.answer("meanwhile"); err != nil || status != http.StatusOK {
		t.Errorf("a route answers %d, %v", status, err)
	}
}

// forbid takes the right to a resource from ingest, and returns what gives it back.
func (r *rig) forbid(resource string) (restore func()) {
	r.Helper()
	const role = "rutter-system-rutter-ingest"
	roles := r.core.RbacV1().ClusterRoles()
	ctx := context.WithoutCancel(r.Context()) // a cleanup comes after the test
	found, err := roles.Get(ctx, role, metav1.GetOptions{})
	r.must(err)
	whole := found.DeepCopy().Rules
	set := func(rules []rbacv1.PolicyRule) {
		r.Helper()
		r.must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			now, err := roles.Get(ctx, role, metav1.GetOptions{})
			if err != nil {
				return err
			}
			now.Rules = rules
			_, err = roles.Update(ctx, now, metav1.UpdateOptions{})
			return err
		}))
	}
	for i := range found.Rules {
		found.Rules[i].Resources = slices.DeleteFunc(found.Rules[i].Resources, func(s string) bool { return s == resource })
	}
	set(found.Rules)
	return func() { set(whole) }
}

// attached tells whether so many routes are attached to the Gateway.
func (r *rig) attached(want int32) error {
	found, err := r.gateway.GatewayV1().Gateways(r.namespace).Get(r.Context(), "gw", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, listener := range found.Status.Listeners {
		if listener.AttachedRoutes != want {
			return fmt.Errorf("%d routes are attached, want %d", listener.AttachedRoutes, want)
		}
	}
	return nil
}

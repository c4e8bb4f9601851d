package conditions_test

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

func TestACertificateIsWarnedOfWhenItBeginsAndTakenBackWhenItIsMended(t *testing.T) {
	warning := func(reason string) routing.Condition {
		return says(routing.ConditionCertificateWarning, "True", reason)
	}
	var now conditions.Object
	for i, step := range []struct {
		says []routing.Condition
		want string
	}{
		{nil, "[]"},
		{[]routing.Condition{warning(routing.ReasonCertificateNotYetValid)}, "[http CertificateNotYetValid CertificateNotYetValid.]"},
		{[]routing.Condition{warning(routing.ReasonCertificateNotYetValid)}, "[]"},
		{[]routing.Condition{warning(routing.ReasonCertificateExpired)}, "[http CertificateExpired CertificateExpired.]"},
		{nil, "[]"},
		{[]routing.Condition{warning(routing.ReasonCertificateExpired)}, "[http CertificateExpired CertificateExpired.]"},
	} {
		next := of(gatewayVerdict(step.says...), conditions.Fleet{}, now, noon()).Object
		if got := fmt.Sprint(told(conditions.Warnings(now, next, controller))); got != step.want {
			t.Errorf("step %d tells %s, want %s", i, got, step.want)
		}
		has := slices.ContainsFunc(next.Gateway.Listeners[0].Conditions, func(c metav1.Condition) bool {
			return c.Type == routing.ConditionCertificateWarning
		})
		if has != (len(step.says) > 0) {
			t.Errorf("step %d: %+v", i, next.Gateway.Listeners[0].Conditions)
		}
		now = next
	}
}

func TestAShadowIsWarnedOfWhenItBeginsAndTakenBackWhenItEnds(t *testing.T) {
	shadowed := func(reason string) routing.Condition { return says(routing.ConditionShadowed, "True", reason) }
	var now conditions.Object
	for i, step := range []struct {
		says []routing.Condition
		want string
	}{
		{nil, "[]"},
		{[]routing.Condition{shadowed(routing.ReasonRulesShadowed)}, "[gw RulesShadowed RulesShadowed.]"},
		{[]routing.Condition{shadowed(routing.ReasonRulesShadowed)}, "[]"},
		{[]routing.Condition{shadowed(routing.ReasonRouteShadowed)}, "[gw RouteShadowed RouteShadowed.]"},
		{nil, "[]"},
		{[]routing.Condition{shadowed(routing.ReasonRulesShadowed)}, "[gw RulesShadowed RulesShadowed.]"},
	} {
		next := of(routeVerdict(append([]routing.Condition{says("Accepted", "True", "Accepted")}, step.says...)...), conditions.Fleet{}, now, noon()).Object
		if got := fmt.Sprint(told(conditions.Warnings(now, next, controller))); got != step.want {
			t.Errorf("step %d tells %s, want %s", i, got, step.want)
		}
		if other := conditions.Warnings(now, next, "example.com/other"); len(other) > 0 {
			t.Errorf("step %d: %v of another controller", i, other)
		}
		has := slices.ContainsFunc(next.Route.Parents[0].Conditions, func(c metav1.Condition) bool { return c.Type == routing.ConditionShadowed })
		if has != (len(step.says) > 0) {
			t.Errorf("step %d: %+v", i, next.Route.Parents[0].Conditions)
		}
		now = next
	}
}

func told(warnings []conditions.Warning) []string {
	out := []string{}
	for _, w := range warnings {
		about := w.Listener
		if w.Parent != nil {
			about = string(w.Parent.Name)
		}
		out = append(out, fmt.Sprintf("%s %s %s", about, w.Reason, w.Message))
	}
	return out
}

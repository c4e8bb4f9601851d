package conditions_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

func TestThatEnvoyRefusedAPartIsTakenBackWhenItIsMended(t *testing.T) {
	set := gatewayVerdict()
	set.Object, set.Gateway, set.Addresses = events.Key{Resource: events.ListenerSets, Namespace: "team", Name: "set"}, "default/gw", nil
	for name, v := range map[string]routing.Verdict{"Gateway": gatewayVerdict(), "ListenerSet": set} {
		refused := v
		refused.Conditions = append(slices.Clone(v.Conditions), says(routing.ConditionRefused, "True", routing.ReasonRefused))
		has := func(o conditions.Object) bool {
			var list []metav1.Condition
			if o.Gateway != nil {
				list = o.Gateway.Conditions
			} else {
				list = o.ListenerSet.Conditions
			}
			return slices.ContainsFunc(list, func(c metav1.Condition) bool { return c.Type == routing.ConditionRefused })
		}
		first := of(refused, conditions.Fleet{}, conditions.Object{}, noon()).Object
		if told := conditions.Warnings(conditions.Object{}, first, controller); !has(first) || len(told) != 1 || told[0].Listener != "" || told[0].Reason != routing.ReasonRefused {
			t.Errorf("a %s of which a part is refused is %+v, and tells %+v", name, first, told)
		}
		if mended := of(v, conditions.Fleet{}, first, noon()).Object; has(mended) {
			t.Errorf("a %s still says that a part is refused: %+v", name, mended)
		}
	}
}

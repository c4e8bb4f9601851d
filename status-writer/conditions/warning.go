package conditions

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// Warning is that something is wrong with the certificates of a listener that is
// served all the same.
type Warning struct{ Listener, Reason, Message string }

// Warnings are what the status after says of a Gateway or a ListenerSet and the one
// before did not say, or for another reason.
func Warnings(before, after Object) []Warning {
	var out []Warning
	was := map[string]string{}
	for _, w := range warningsOf(before) {
		was[w.Listener] = w.Reason
	}
	for _, w := range warningsOf(after) {
		if was[w.Listener] != w.Reason {
			out = append(out, w)
		}
	}
	return out
}

func warningsOf(o Object) []Warning {
	var out []Warning
	add := func(listener gatewayv1.SectionName, conditions []metav1.Condition) {
		for _, c := range conditions {
			if c.Type == routing.ConditionCertificateWarning && c.Status == metav1.ConditionTrue {
				out = append(out, Warning{string(listener), c.Reason, c.Message})
			}
		}
	}
	if o.Gateway != nil {
		for _, l := range o.Gateway.Listeners {
			add(l.Name, l.Conditions)
		}
	}
	if o.ListenerSet != nil {
		for _, l := range o.ListenerSet.Listeners {
			add(l.Name, l.Conditions)
		}
	}
	return out
}

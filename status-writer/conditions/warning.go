package conditions

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// Warning is that something is wrong with what is served all the same: with the
// certificates of a listener, with rules of a route that get no traffic, or with a part of
// a Gateway or a ListenerSet that Envoy refused.
type Warning struct {
	Listener string // "" for the object as a whole
	// Parent is that of a route; nil otherwise.
	Parent          *gatewayv1.ParentReference
	Reason, Message string
}

// Warnings are what the status after says and the one before did not say, or for
// another reason. In the status of a route those of other controllers are not ours.
func Warnings(before, after Object, controllerName string) []Warning {
	var out []Warning
	was := warningsOf(before, controllerName)
	for _, w := range warningsOf(after, controllerName) {
		if !slices.ContainsFunc(was, w.repeats) {
			out = append(out, w)
		}
	}
	return out
}

func (w Warning) repeats(other Warning) bool {
	return w.Listener == other.Listener && w.Reason == other.Reason && reflect.DeepEqual(w.Parent, other.Parent)
}

func warningsOf(o Object, controllerName string) []Warning {
	var out []Warning
	add := func(w Warning, kind string, conditions []metav1.Condition) {
		for _, c := range conditions {
			if c.Type == kind && c.Status == metav1.ConditionTrue {
				w.Reason, w.Message = c.Reason, c.Message
				out = append(out, w)
			}
		}
	}
	if o.Gateway != nil {
		add(Warning{}, routing.ConditionRefused, o.Gateway.Conditions)
		for _, l := range o.Gateway.Listeners {
			add(Warning{Listener: string(l.Name)}, routing.ConditionCertificateWarning, l.Conditions)
		}
	}
	if o.ListenerSet != nil {
		add(Warning{}, routing.ConditionRefused, o.ListenerSet.Conditions)
		for _, l := range o.ListenerSet.Listeners {
			add(Warning{Listener: string(l.Name)}, routing.ConditionCertificateWarning, l.Conditions)
		}
	}
	if o.Route != nil {
		for i := range o.Route.Parents {
			if p := &o.Route.Parents[i]; string(p.ControllerName) == controllerName {
				add(Warning{Parent: &p.ParentRef}, routing.ConditionShadowed, p.Conditions)
			}
		}
	}
	return out
}

package route

import (
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// LayoutAnnotation on a GatewayClass chooses the layout of its Gateways: "plain" or "scoped".
const LayoutAnnotation = "rutter.dev/route-layout"

// class is a GatewayClass of ours. Foreign ones are nil: never answered, never touched.
type class struct {
	accepted bool
	layout   Layout
	message  string
	parameters
	// experimental tells whether the fields of the experimental channel are there.
	experimental bool
}

func (t *Tables) computeClass(r *reader, name string) (*class, *routing.Verdict) {
	key := events.Key{Resource: events.GatewayClasses, Name: name}
	o, gc := get[gatewayv1.GatewayClass](r, key)
	if gc == nil {
		return nil, nil
	}
	settings := r.settings()
	if string(gc.Spec.ControllerName) != settings.ControllerName {
		return nil, nil
	}
	c := &class{accepted: true, layout: Layout(settings.RouteLayout), experimental: r.experimental()}
	accepted := condition(string(gatewayv1.GatewayClassConditionStatusAccepted), true, string(gatewayv1.GatewayClassReasonAccepted), "The GatewayClass is served by "+settings.ControllerName+".")
	reject := func(message string) {
		c.accepted, c.message = false, message
		accepted.Status, accepted.Reason, accepted.Message = "False", string(gatewayv1.GatewayClassReasonInvalidParameters), message
	}
	switch layout, ok := o.Annotations[LayoutAnnotation]; {
	case ok && !slices.Contains([]Layout{LayoutPlain, LayoutScoped}, Layout(layout)):
		reject(fmt.Sprintf("The annotation %s is %q; use %q or %q.", LayoutAnnotation, layout, LayoutPlain, LayoutScoped))
	case ok:
		c.layout = Layout(layout)
	}
	if ref := gc.Spec.ParametersRef; ref != nil && c.accepted {
		why, stale := c.resolve(r, ref)
		if why != "" {
			reject(why)
		} else if stale != "" {
			accepted.Message += " " + stale
		}
	}
	verdict := newVerdict(o)
	verdict.Conditions = append([]routing.Condition{accepted}, r.clusterConditions()...)
	verdict.Features = features(settings.Provisioned, c.experimental)
	return c, verdict
}

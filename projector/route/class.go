package route

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

// class is a GatewayClass of ours. Foreign ones are nil: never answered, never touched.
type class struct {
	parameters.Parameters
	layout Layout
	// problem is why it is not accepted, and state which of its Gateways go on.
	problem string
	state   *fold.Class
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
	c := &class{layout: Layout(settings.RouteLayout), state: r.state.Class(name), experimental: r.experimental()}
	for _, from := range c.state.From {
		r.note(objectOf(from))
	}
	c.problem = c.state.Problem
	accepted := condition(string(gatewayv1.GatewayClassConditionStatusAccepted), true, string(gatewayv1.GatewayClassReasonAccepted), "The GatewayClass is served by "+settings.ControllerName+".")
	if c.problem != "" {
		accepted = condition(accepted.Type, false, string(gatewayv1.GatewayClassReasonInvalidParameters), c.problem)
	}
	if c.state.Parameters != nil {
		c.Parameters = *c.state.Parameters
		if c.problem != "" {
			accepted.Message += " The Gateways that it had go on with the last parameters that could be used; new ones are not accepted."
		}
		if c.Layout != "" {
			c.layout = Layout(c.Layout)
		}
	}
	verdict := newVerdict(o)
	verdict.Conditions = append([]routing.Condition{accepted}, r.clusterConditions()...)
	verdict.Features = features(settings.Provisioned, c.experimental)
	return c, verdict
}

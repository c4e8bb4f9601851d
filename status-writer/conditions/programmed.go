package conditions

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// RouteProgrammed is [routing.ConditionProgrammed].
const RouteProgrammed = routing.ConditionProgrammed

// Reasons of [RouteProgrammed] besides Programmed and Pending.
const (
	// ReasonRefused: Envoy rejected what was made from the route.
	ReasonRefused = "Refused"
	// ReasonNotAccepted: the parent does not accept the route.
	ReasonNotAccepted = "NotAccepted"
)

// maxReason bounds what is repeated of an Envoy's explanation, in bytes; a
// condition's message may have 32768.
const maxReason = 1024

const (
	programmedType   = string(gatewayv1.GatewayConditionProgrammed)
	reasonProgrammed = string(gatewayv1.GatewayReasonProgrammed)
	reasonPending    = string(gatewayv1.GatewayReasonPending)
	reasonInvalid    = string(gatewayv1.GatewayReasonInvalid)
)

// holds tells whether the Envoys of a Gateway run the verdict's generation. now
// are the conditions of the entry at present: once one of them says so for this
// object and generation, it stays (a latch).
func (r *result) holds(fleet Fleet, kind string, now []metav1.Condition) bool {
	if fleet.Envoys > 0 && fleet.Held >= r.Verdict.Since {
		return true
	}
	return r.Current.UID == r.Verdict.UID && slices.ContainsFunc(now, func(c metav1.Condition) bool {
		return c.Type == kind && c.Status == metav1.ConditionTrue && c.ObservedGeneration == r.Verdict.Generation
	})
}

// Opens tells whether a verdict lets something be programmed that the one before it on
// the same object did not: the object itself, one of its listeners, or a route for one of
// its parents.
func Opens(before, after routing.Verdict) bool {
	if decided(before.Conditions) && !decided(after.Conditions) {
		return true
	}
	for _, l := range after.Listeners {
		if !decided(l.Conditions) && !slices.ContainsFunc(before.Listeners, func(was routing.ListenerVerdict) bool {
			return was.Name == l.Name && !decided(was.Conditions)
		}) {
			return true
		}
	}
	for _, p := range after.Parents {
		if open(p) && !slices.ContainsFunc(before.Parents, func(was routing.ParentVerdict) bool {
			return was.Gateway == p.Gateway && reflect.DeepEqual(was.Ref, p.Ref) && open(was)
		}) {
			return true
		}
	}
	return false
}

func open(p routing.ParentVerdict) bool { return accepted(p.Conditions) && !decided(p.Conditions) }

// decided tells whether the projector has said already that something cannot be programmed.
func decided(conditions []routing.Condition) bool {
	return slices.ContainsFunc(conditions, func(c routing.Condition) bool { return c.Type == programmedType || c.Type == RouteProgrammed })
}

// withProgrammed adds Programmed to the conditions of a Gateway, a ListenerSet or a
// listener, unless the projector has said already why it cannot be.
func (r *result) withProgrammed(conditions []routing.Condition, now []metav1.Condition) []routing.Condition {
	if decided(conditions) {
		return conditions
	}
	gateway := cmp.Or(r.Verdict.Gateway, gatewayOf(r.Verdict.Object))
	fleet := r.Fleet(gateway)
	c := routing.Condition{Type: programmedType, Status: "False", Reason: reasonPending}
	switch why, refused := fleet.Refused[r.Verdict.Object]; {
	case refused:
		c.Reason, c.Message = reasonInvalid, refusal(why)
	case r.holds(fleet, programmedType, now):
		c.Status, c.Reason, c.Message = "True", reasonProgrammed, "The Envoys of the Gateway run this generation."
	case fleet.Envoys == 0:
		c.Message = "No Envoy of the Gateway is connected."
	default:
		c.Message = "Not every Envoy of the Gateway runs this generation yet."
	}
	if c.Reason == reasonPending {
		r.wait(gateway)
	}
	return append(slices.Clip(conditions), c)
}

// withRouteProgrammed adds [RouteProgrammed] to the conditions of a route's parent, unless
// the projector has said already why it cannot be.
func (r *result) withRouteProgrammed(p routing.ParentVerdict, now []metav1.Condition) []routing.Condition {
	if decided(p.Conditions) {
		return p.Conditions
	}
	fleet := r.Fleet(p.Gateway)
	c := routing.Condition{Type: RouteProgrammed, Status: "False", Reason: reasonPending}
	switch why, refused := fleet.Refused[r.Verdict.Object]; {
	case !accepted(p.Conditions):
		c.Reason, c.Message = ReasonNotAccepted, "The route is not accepted, so the Envoys of the Gateway do not run it."
	case refused:
		c.Reason, c.Message = ReasonRefused, refusal(why)
	case r.holds(fleet, RouteProgrammed, now):
		c.Status, c.Reason, c.Message = "True", reasonProgrammed, "The Envoys of the Gateway run this generation."
	default:
		c.Message = "Not every Envoy of the Gateway runs this generation yet."
	}
	if c.Reason == reasonPending {
		r.wait(p.Gateway)
	}
	return append(slices.Clip(p.Conditions), c)
}

func (r *result) wait(gateway string) {
	if !slices.Contains(r.Waiting, gateway) {
		r.Waiting = append(r.Waiting, gateway)
	}
}

func accepted(conditions []routing.Condition) bool {
	return slices.ContainsFunc(conditions, func(c routing.Condition) bool {
		return c.Type == string(gatewayv1.RouteConditionAccepted) && c.Status == "True"
	})
}

// refusal tells the owner of an object that Envoy rejected what was made from it.
func refusal(why string) string {
	if len(why) > maxReason {
		why = strings.ToValidUTF8(why[:maxReason], "") + " …"
	}
	return "Envoy refuses the configuration that this object asks for, and runs what it had before: " + why
}

package replay

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/route"
)

// exclusion is a resource that is not published because Envoy refused it.
type exclusion struct {
	origin   events.Key
	reason   string
	replaced bool // by what Envoy held before
}

// admit is what is published for a resource: itself, or what Envoy held before it
// refused this one, or nothing. It depends on the state alone.
func (e *Engine) admit(gateway string, r routing.Resource) (out routing.Resource, ok bool, refused *exclusion) {
	out = r
	seen := map[routing.Digest]bool{}
	for {
		v, excluded := e.state.Verdict(fold.VerdictKey{Gateway: gateway, Type: r.Type, Name: r.Name, Digest: out.Digest.String()})
		if !excluded {
			return out, true, refused
		}
		refused = &exclusion{origin: r.Origin, reason: v.Reason, replaced: len(v.LastGood) > 0}
		seen[out.Digest] = true
		out.Body, out.Sealed, out.Digest = v.LastGood, v.LastSealed, routing.DigestOf(v.LastGood)
		if !refused.replaced || seen[out.Digest] {
			refused.replaced = false
			return routing.Resource{}, false, refused
		}
	}
}

// judged is a resource on which a verdict was given.
type judged struct {
	gateway  string
	resource routing.ResourceName
}

func (e *Engine) judge(ev events.Event) {
	var v events.Verdict
	if err := json.Unmarshal(ev.Data, &v); err != nil {
		panic(fmt.Sprintf("replay: event %d was folded and cannot be read: %v", ev.Sequence, err))
	}
	e.judged = append(e.judged, judged{v.Gateway, routing.ResourceName{Type: v.Type, Name: v.Name}})
}

// addRefused adds to a change the outputs whose resources verdicts were given on
// since the last Project.
func (e *Engine) addRefused(c *route.Change) {
	for _, name := range e.judged {
		for id, names := range e.outputs {
			if id.Gateway == name.gateway && slices.Contains(names, name.resource) {
				addOutput(c, id)
			}
		}
	}
	e.judged = nil
	slices.Sort(c.Gateways)
	slices.Sort(c.Pins)
	c.Pins = slices.Compact(c.Pins)
}

// addOutput adds to a change what makes package envoy build an output again.
func addOutput(c *route.Change, id envoy.OutputID) {
	switch id.Kind {
	case envoy.KindListeners:
		c.Gateways = append(c.Gateways, id.Gateway)
	case envoy.KindRoutes:
		c.Hosts = append(c.Hosts, route.HostID{Gateway: id.Gateway, Chain: id.Name, Hostname: "*"})
	case envoy.KindScope:
		chain, hostname, _ := strings.Cut(id.Name, "/")
		c.Hosts = append(c.Hosts, route.HostID{Gateway: id.Gateway, Chain: chain, Hostname: hostname})
	case envoy.KindCluster:
		c.Clusters = append(c.Clusters, route.ClusterID{Gateway: id.Gateway, Name: id.Name})
	case envoy.KindPinned:
		c.Pins = append(c.Pins, id.Gateway)
	case envoy.KindSecret:
		c.Secrets = append(c.Secrets, route.SecretID{Gateway: id.Gateway, Name: id.Name})
	}
}

// setExcluded notes what of an output is excluded, and marks the objects whose
// verdicts that changes.
func (e *Engine) setExcluded(id envoy.OutputID, now []exclusion, retell map[events.Key]bool) {
	before := e.excluded[id]
	if slices.Equal(before, now) {
		return
	}
	for _, x := range slices.Concat(before, now) {
		for _, key := range e.told(id.Gateway, x.origin) {
			retell[key] = true
		}
	}
	if len(now) == 0 {
		delete(e.excluded, id)
	} else {
		e.excluded[id] = now
	}
}

// told are the objects whose statuses tell of a refusal: the route or ListenerSet itself,
// those whose listeners have the certificate, or else the Gateway.
func (e *Engine) told(gateway string, origin events.Key) []events.Key {
	if route.Attaches(origin.Resource) || origin.Resource == events.ListenerSets {
		return []events.Key{origin}
	}
	if origin.Resource == events.Secrets {
		if users := e.tables.UsersOf(gateway, origin); len(users) > 0 {
			return users
		}
	}
	namespace, name, _ := strings.Cut(gateway, "/")
	return []events.Key{{Resource: events.Gateways, Namespace: namespace, Name: name}}
}

// tell adds to a verdict what Envoy refused of the object.
func (e *Engine) tell(v routing.Verdict) routing.Verdict {
	for _, id := range slices.SortedFunc(maps.Keys(e.excluded), envoy.OutputID.Compare) {
		for _, x := range e.excluded[id] {
			if x.origin == v.Object || !route.Attaches(v.Object.Resource) && slices.Contains(e.told(id.Gateway, x.origin), v.Object) {
				v = tellOne(v, id, x)
			}
		}
	}
	return v
}

func tellOne(v routing.Verdict, id envoy.OutputID, x exclusion) routing.Verdict {
	if !route.Attaches(v.Object.Resource) {
		message := "Envoy refused a part of the configuration made from " + x.origin.String() + ": " + x.reason
		v.Conditions = withCondition(v.Conditions, routing.Condition{Type: routing.ConditionRefused, Status: "True", Reason: routing.ReasonRefused, Message: message})
		return v
	}
	message := "Dropped Rule: what was made from the route was refused by Envoy, and there is nothing earlier to serve: " + x.reason
	if x.replaced {
		message = "Fall Back to what was served before: Envoy refused what was made from the route: " + x.reason
	}
	v.Parents = slices.Clone(v.Parents)
	for i := range v.Parents {
		if v.Parents[i].Gateway == id.Gateway {
			v.Parents[i].Conditions = withCondition(v.Parents[i].Conditions, routing.Condition{
				Type: string(gatewayv1.RouteConditionPartiallyInvalid), Status: "True", Reason: string(gatewayv1.RouteReasonUnsupportedValue), Message: message,
			})
		}
	}
	return v
}

// withCondition is conditions with c, unless there is one of its type: what the
// object itself says is wrong comes first.
func withCondition(conditions []routing.Condition, c routing.Condition) []routing.Condition {
	if slices.ContainsFunc(conditions, func(d routing.Condition) bool { return d.Type == c.Type }) {
		return conditions
	}
	return append(slices.Clip(conditions), c)
}

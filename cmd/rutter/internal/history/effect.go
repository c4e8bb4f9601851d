package history

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
)

// Effect is what one published version changed.
type Effect struct {
	Version string `json:"version"`
	// With are the other events that the version is made of: what it changed may be
	// on their account.
	With     []uint64        `json:"with,omitempty"`
	Gateways []GatewayEffect `json:"gateways,omitempty"`
	Verdicts []VerdictEffect `json:"verdicts,omitempty"`
}

// GatewayEffect is what changed in the routing of a Gateway.
type GatewayEffect struct {
	Gateway     string                `json:"gateway"`
	Differences []describe.Difference `json:"differences,omitempty"`
	// Backends are those that are reached in another way (protocol).
	Backends []string `json:"backends,omitempty"`
}

// VerdictEffect is what changed in the conditions of an object, as lines.
type VerdictEffect struct {
	Object string   `json:"object"`
	Now    []string `json:"now,omitempty"`
	Gone   bool     `json:"gone,omitempty"`
	// bad are the lines of Now that its owner should look at.
	bad []string
}

// effectOf is what a version changes in the state before it.
func effectOf(before *routing.State, s *routing.Snapshot) (*Effect, error) {
	e := &Effect{Version: s.Version.String()}
	for i := range s.Gateways {
		g, err := gatewayEffect(before.Gateways[s.Gateways[i].Gateway], &s.Gateways[i])
		if err != nil {
			return nil, err
		}
		if len(g.Differences)+len(g.Backends) > 0 {
			e.Gateways = append(e.Gateways, g)
		}
	}
	for _, v := range s.Verdicts {
		was := verdictLines(before.Verdicts[v.Object])
		change := VerdictEffect{Object: Object(v.Object)}
		for _, line := range verdictLines(v) {
			if slices.Contains(was, line) {
				continue
			}
			change.Now = append(change.Now, line.text)
			if line.bad && !slices.Contains(change.bad, line.short) {
				change.bad = append(change.bad, line.short)
			}
		}
		if len(change.Now) > 0 {
			e.Verdicts = append(e.Verdicts, change)
		}
	}
	for _, key := range s.Gone {
		e.Verdicts = append(e.Verdicts, VerdictEffect{Object: Object(key), Gone: true})
	}
	return e, nil
}

// gatewayEffect compares only what a delta touches, so that it costs what the
// change costs.
func gatewayEffect(before *routing.GatewayState, d *routing.GatewayDelta) (GatewayEffect, error) {
	was, is := Sides(before, d, func(id routing.ResourceName) bool { // few, and read together
		return id.Type == envoy.TypeListener || id.Type == envoy.TypeSecret
	})
	out := GatewayEffect{Gateway: d.Gateway}
	for _, r := range d.Changed {
		if _, had := was[r.ResourceName]; had && r.Type == envoy.TypeCluster {
			out.Backends = append(out.Backends, r.Name)
		}
	}
	a, err := describe.Of(d.Gateway, was)
	if err != nil {
		return out, err
	}
	b, err := describe.Of(d.Gateway, is)
	if err != nil {
		return out, err
	}
	out.Differences = describe.Diff(a, b)
	return out, nil
}

// Sides are the resources of a Gateway on both sides of a difference: those that it
// touches, and of the others those that always accepts. Where the Gateway goes, that is
// all of them.
func Sides(before *routing.GatewayState, d *routing.GatewayDelta, always func(routing.ResourceName) bool) (was, is map[routing.ResourceName]routing.Resource) {
	was, is = map[routing.ResourceName]routing.Resource{}, map[routing.ResourceName]routing.Resource{}
	if before == nil {
		before = &routing.GatewayState{}
	}
	for id, r := range before.Resources {
		if always(id) || d.Deleted {
			was[id], is[id] = r, r
		}
	}
	touch := func(id routing.ResourceName) {
		if old, had := before.Resources[id]; had {
			was[id] = old
		}
	}
	for _, r := range d.Changed {
		touch(r.ResourceName)
		is[r.ResourceName] = r
	}
	for _, id := range d.Removed {
		touch(id)
		delete(is, id)
	}
	if d.Deleted {
		clear(is)
	}
	return was, is
}

// line is one thing that a verdict says.
type line struct {
	text  string
	short string // without the parent that says it
	bad   bool
}

// verdictLines are the conditions of an object, one to a line.
func verdictLines(v routing.Verdict) []line {
	var out []line
	add := func(parent, prefix string, list []routing.Condition) {
		for _, c := range list {
			short := prefix + ConditionText(c)
			out = append(out, line{parent + short, short, Bad(c)})
		}
	}
	add("", "", v.Conditions)
	for _, l := range v.Listeners {
		add("", "listener "+l.Name+": ", l.Conditions)
		out = append(out, line{text: fmt.Sprintf("listener %s: %d attached routes", l.Name, l.AttachedRoutes)})
	}
	for _, p := range slices.Concat(v.Parents, v.Ancestors) {
		add(Parent(v.Object, p)+": ", "", p.Conditions)
	}
	return out
}

// ConditionText is a condition in short: Accepted, or "Accepted=False (Reason)".
func ConditionText(c routing.Condition) string {
	if c.Status == "True" && (c.Reason == c.Type || c.Reason == "") {
		return c.Type
	}
	return c.Type + "=" + c.Status + " (" + c.Reason + ")"
}

// Bad tells whether a condition says that something is not as its owner wants.
func Bad(c routing.Condition) bool {
	switch c.Type {
	case "Conflicted", "OverlappingTLSConfig", "PartiallyInvalid":
		return c.Status == "True"
	}
	return c.Status != "True"
}

// Short is the effect of an event about own in a few words: what routing became,
// and of each object the first condition that is bad now. Of others it only says
// whose changed, and that only where nothing else did.
func (e *Effect) Short(own string) string {
	if e == nil {
		return "no change in routing"
	}
	var parts, changed []string
	for _, g := range e.Gateways {
		parts = append(parts, g.String())
	}
	for _, v := range e.Verdicts {
		if len(v.bad) > 0 {
			text := v.bad[0]
			if more := len(v.bad) - 1; more > 0 {
				text += fmt.Sprintf(" +%d more", more)
			}
			if v.Object != own {
				text = v.Object + ": " + text
			}
			parts = append(parts, text)
		} else {
			changed = append(changed, v.Object)
		}
	}
	if len(parts) == 0 {
		parts = []string{"no change in routing"}
		if len(changed) > 0 {
			parts[0] = "conditions of " + shortList(changed)
		}
	}
	out := shortList(parts)
	if n := len(e.With); n > 0 {
		out += fmt.Sprintf(" (with %d other events)", n)
	}
	return out
}

// shortList names two, and counts the rest.
func shortList(list []string) string {
	out := strings.Join(list[:min(len(list), 2)], "; ")
	if more := len(list) - 2; more > 0 {
		out += fmt.Sprintf("; and %d others", more)
	}
	return out
}

// String counts the differences: "default/gw: +2 rules ~1 listener".
func (g GatewayEffect) String() string {
	type what struct {
		kind  describe.Kind
		thing string
	}
	counts := map[what]int{}
	for _, d := range g.Differences {
		thing, _, _ := strings.Cut(d.String(), " ")
		counts[what{d.Kind, thing}]++
	}
	out := g.Gateway + ":"
	for _, thing := range []string{"listener", "host", "rule"} {
		for _, kind := range []describe.Kind{describe.Added, describe.Removed, describe.Changed} {
			n := counts[what{kind, thing}]
			if n == 0 {
				continue
			}
			out += fmt.Sprintf(" %s%d %s", Sign(kind), n, thing)
			if n > 1 {
				out += "s"
			}
		}
	}
	for _, b := range g.Backends {
		out += " ~backend " + b
	}
	return out
}

// Sign is +, - or ~.
func Sign(k describe.Kind) string {
	return map[describe.Kind]string{describe.Added: "+", describe.Removed: "-", describe.Changed: "~"}[k]
}

package route

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// maxTold bounds how many hosts are named in one sentence.
const maxTold = 8

func routeVerdictOf(key events.Key) node {
	return node{routeVerdictNode, key.Resource, key.Namespace, key.Name}
}

// touchShadowed asks for the status of the routes that are shadowed in another way than
// before.
func (b *builder) touchShadowed(was, is *Host) {
	before, after := was.shadows(), is.shadows()
	for len(before) > 0 || len(after) > 0 {
		var key events.Key
		if len(after) == 0 || len(before) > 0 && before[0].Rule.Route.Compare(after[0].Rule.Route) < 0 {
			key = before[0].Rule.Route
		} else {
			key = after[0].Rule.Route
		}
		a, c := ofRoute(before, key), ofRoute(after, key)
		if !slices.EqualFunc(a, c, Shadow.equal) {
			b.t.graph.mark(routeVerdictOf(key))
		}
		before, after = before[len(a):], after[len(c):]
	}
}

func (h *Host) shadows() []Shadow {
	if h == nil {
		return nil
	}
	return h.Shadows
}

func (s Shadow) equal(other Shadow) bool {
	return s.Rule == other.Rule && slices.Equal(s.By, other.By)
}

// ofRoute are the shadows of a route at the head of a sorted list.
func ofRoute(shadows []Shadow, key events.Key) []Shadow {
	n := 0
	for n < len(shadows) && shadows[n].Rule.Route == key {
		n++
	}
	return shadows[:n]
}

// setRouteVerdict adds to what is known of a route otherwise which of its rules are
// shadowed.
func (b *builder) setRouteVerdict(key events.Key) {
	a := b.t.attachments[key].orEmpty()
	if a.verdict == nil {
		b.setVerdict(key, nil)
		return
	}
	v := *a.verdict
	v.Parents = slices.Clone(v.Parents)
	for i := range v.Parents {
		if c := b.t.shadowed(key, a.rules, a.hostsOf(i)); c != nil {
			v.Parents[i].Conditions = append(slices.Clip(v.Parents[i].Conditions), *c)
		}
	}
	b.setVerdict(key, &v)
}

// shadowed is the condition that warns of the rules of a route that get no traffic on
// some of its hosts, those of one parent; nil where there is none.
func (t *Tables) shadowed(key events.Key, rules []*Rule, hosts []HostID) *routing.Condition {
	var found []shadowOn
	everywhere := 0
	for _, id := range hosts {
		shadows := t.Host(id).shadows()
		i, _ := slices.BinarySearchFunc(shadows, key, func(s Shadow, key events.Key) int { return s.Rule.Route.Compare(key) })
		for _, s := range ofRoute(shadows[i:], key) {
			found = append(found, shadowOn{s, id})
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortStableFunc(found, func(a, b shadowOn) int { return a.Rule.compare(b.Rule) })
	var sentences []string
	for len(found) > 0 {
		n := 1
		for n < len(found) && found[n].Rule == found[0].Rule {
			n++
		}
		sentences = append(sentences, sentencesOn(found[:n], len(hosts))...)
		if n == len(hosts) {
			everywhere++
		}
		found = found[n:]
	}
	reason := routing.ReasonRulesShadowed
	if everywhere == len(rules) {
		reason = routing.ReasonRouteShadowed
	}
	return new(condition(routing.ConditionShadowed, true, reason, strings.Join(sentences, " ")))
}

// shadowOn is a shadow on one of the hosts.
type shadowOn struct {
	Shadow
	host HostID
}

// sentencesOn tell of one rule what takes its traffic: a sentence for all hosts on which
// it is the same. Hosts are named unless it is all that there are.
func sentencesOn(rule []shadowOn, hosts int) []string {
	var sentences []string
	for len(rule) > 0 {
		first := rule[0]
		var names []string
		rest := rule[:0:0]
		for _, s := range rule {
			if slices.Equal(s.By, first.By) {
				names = append(names, s.host.told())
			} else {
				rest = append(rest, s)
			}
		}
		at := ""
		if len(names) < hosts {
			at = " for " + several(names)
		}
		var by []string
		for _, r := range first.By {
			by = append(by, r.toldTo(first.Rule.Route))
		}
		sentences = append(sentences, fmt.Sprintf("Rule %d gets no traffic%s: what it matches goes to %s.", first.Rule.Index, at, several(by)))
		rule = rest
	}
	return sentences
}

// toldTo names a rule to the owner of a route.
func (r RuleID) toldTo(route events.Key) string {
	switch r.Route {
	case events.Key{}:
		return "a route of another tenant"
	case route:
		return fmt.Sprintf("rule %d", r.Index)
	}
	return fmt.Sprintf("rule %d of the %s %s/%s", r.Index, routeKinds[r.Route.Resource], r.Route.Namespace, r.Route.Name)
}

// told is hostname:port.
func (id HostID) told() string {
	port, _ := chainPort(id.Chain)
	return fmt.Sprintf("%s:%d", id.Hostname, port)
}

func several(names []string) string {
	if len(names) > maxTold {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxTold], ", "), len(names)-maxTold)
	}
	return strings.Join(names, ", ")
}

package route

import (
	"cmp"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// RuleID names a rule of a route.
type RuleID struct {
	Route events.Key
	Index int
}

func (r RuleID) compare(s RuleID) int {
	return cmp.Or(r.Route.Compare(s.Route), cmp.Compare(r.Index, s.Index))
}

// Shadow is a rule that no request to a host can meet: ahead of each of its matches
// stands one that takes the same requests.
type Shadow struct {
	Rule RuleID
	// By are the rules that take them, sorted. The zero RuleID is one of another tenant.
	By []RuleID
}

// findShadows are the shadowed rules, sorted, of the routes that a host is there for.
// The wildcard routes that reach it too have a host of their own, where they are met.
//
// Who is told can rely on it: an entry counts as shadowed only by what surely matches
// whatever it matches. Not everything is found (that two rules together leave nothing
// for a third, or that one regular expression implies another).
func findShadows(candidates []candidate) []Shadow {
	if len(candidates) < 2 {
		return nil
	}
	var shadows []Shadow
	live := map[RuleID]bool{}
	index := newShadowIndex(len(candidates))
	for i := range candidates {
		c := &candidates[i]
		id := RuleID{c.entry.Rule.Route, c.entry.Rule.Index}
		by := index.place(i, &c.entry.Match)
		switch {
		case by < 0:
			live[id] = true
		case c.own:
			shadows = append(shadows, Shadow{id, []RuleID{candidates[by].entry.told(&c.entry)}})
		}
	}
	// What takes an entry of a rule is no other entry of that rule, unless the rule is live:
	// it is the first that could, so nothing takes it.
	shadows = slices.DeleteFunc(shadows, func(s Shadow) bool { return live[s.Rule] })
	slices.SortStableFunc(shadows, func(a, b Shadow) int { return a.Rule.compare(b.Rule) })
	return mergeShadows(shadows)
}

// mergeShadows makes one of those of each rule.
func mergeShadows(sorted []Shadow) []Shadow {
	var out []Shadow
	for _, s := range sorted {
		if last := len(out) - 1; last >= 0 && out[last].Rule == s.Rule {
			out[last].By = append(out[last].By, s.By...)
		} else {
			out = append(out, s)
		}
	}
	for i := range out {
		slices.SortFunc(out[i].By, RuleID.compare)
		out[i].By = slices.Compact(out[i].By)
	}
	return out
}

// told is how the rule of an entry is named to the owner of another: one tenant does not
// learn of the routes of another.
func (e *Entry) told(to *Entry) RuleID {
	if e.Tenant != nil && (to.Tenant == nil || *e.Tenant != *to.Tenant) {
		return RuleID{}
	}
	return RuleID{e.Rule.Route, e.Rule.Index}
}

package describe

import "fmt"

// diffRules is what turns the rules a of a host into b. A rule is known by its
// match and its route. What is left over pairs by match alone, and is then a
// destination that went from one route to another; and then by its place in its
// route, and is then a match that changed.
func diffRules(a, b []Rule) []Difference {
	var out []Difference
	last, moved := -1, false
	align(a, b, func(i, j int) {
		switch {
		case i < 0:
			out = append(out, Difference{Kind: Added, Match: b[j].Match, Route: b[j].Route, Details: b[j].details()})
			return
		case j < 0:
			out = append(out, Difference{Kind: Removed, Match: a[i].Match, Route: a[i].Route, Details: a[i].details()})
			return
		}
		details := changes(append([]string{"match " + a[i].Match}, a[i].details()...), append([]string{"match " + b[j].Match}, b[j].details()...))
		// The first rule that fell behind another one tells that the order changed.
		if i < last && !moved {
			moved = true
			details = append(details, "order: is tried after "+a[last].Match+" now")
		}
		last = max(last, i)
		if len(details) > 0 {
			out = append(out, Difference{Kind: Changed, Match: b[j].Match, Route: b[j].Route, Details: details})
		}
	},
		func(r Rule) string { return r.Match + "\n" + r.Route },
		func(r Rule) string { return r.Match },
		func(r Rule) string { return fmt.Sprintf("%s/%d/%d", r.Route, r.Index, r.MatchIndex) })
	return out
}

// details is what a rule does, the route first.
func (r Rule) details() []string {
	out := []string{"route " + r.Route}
	for _, b := range r.Backends {
		out = append(out, "to "+b.String())
	}
	return append(out, r.Filters...)
}

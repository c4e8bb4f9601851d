package describe

import (
	"slices"
	"strings"
)

// Kind says how something differs.
type Kind string

// The kinds of difference.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// Difference is one thing that differs between two descriptions of a Gateway: a
// listener (Hostname is ""), a host (Match is ""), or a rule.
type Difference struct {
	Kind     Kind   `json:"kind"`
	Listener string `json:"listener"`
	Hostname string `json:"hostname,omitempty"`
	Match    string `json:"match,omitempty"`
	// Route is namespace/name; of a rule that went from one to another, the new one.
	Route string `json:"route,omitempty"`
	// Details say what a changed thing was and is, and what an added or removed
	// rule does.
	Details []string `json:"details,omitempty"`
}

// String is the difference in one line, without its details: "rule: http-80
// example.com prefix /".
func (d Difference) String() string {
	switch {
	case d.Hostname == "":
		return "listener " + d.Listener
	case d.Match == "":
		return "host " + d.Listener + " " + d.Hostname
	default:
		return "rule " + d.Listener + " " + d.Hostname + " " + d.Match
	}
}

// Diff is what turns a into b, listeners first, then hosts with their rules, in
// the order of the descriptions. Nil stands for a Gateway that is not served.
func Diff(a, b *Gateway) []Difference {
	if a == nil {
		a = &Gateway{}
	}
	if b == nil {
		b = &Gateway{}
	}
	var out []Difference
	align(a.Listeners, b.Listeners, func(i, j int) {
		out = append(out, diffListener(at(a.Listeners, i), at(b.Listeners, j))...)
	}, func(l Listener) string { return l.Name })
	align(a.Hosts, b.Hosts, func(i, j int) {
		out = append(out, diffHost(at(a.Hosts, i), at(b.Hosts, j))...)
	}, func(h Host) string { return h.Listener + " " + h.Hostname })
	return out
}

// at is the element i, or nil for -1.
func at[T any](list []T, i int) *T {
	if i < 0 {
		return nil
	}
	return &list[i]
}

func diffListener(x, y *Listener) []Difference {
	switch {
	case x == nil:
		return []Difference{{Kind: Added, Listener: y.Name, Details: y.details()}}
	case y == nil:
		return []Difference{{Kind: Removed, Listener: x.Name, Details: x.details()}}
	}
	if details := changes(x.details(), y.details()); len(details) > 0 {
		return []Difference{{Kind: Changed, Listener: y.Name, Details: details}}
	}
	return nil
}

func (l Listener) details() []string {
	var out []string
	if l.ServerName != "" {
		out = append(out, "server name "+l.ServerName)
	}
	for _, c := range l.Certificates {
		text := "certificate " + c.Secret
		if c.Fingerprint != "" {
			text += " (" + c.Fingerprint[:12] + ", until " + c.NotAfter.Format("2006-01-02") + ")"
		}
		out = append(out, text)
	}
	if l.Clients != "" {
		out = append(out, "client certificates "+l.Clients)
	}
	for _, f := range l.Filters {
		out = append(out, "filter "+f)
	}
	return out
}

func diffHost(x, y *Host) []Difference {
	var out []Difference
	place := y
	switch {
	case x == nil:
		x = &Host{}
		out = append(out, Difference{Kind: Added, Listener: y.Listener, Hostname: y.Hostname, Details: y.details()})
	case y == nil:
		y, place = &Host{}, x
		out = append(out, Difference{Kind: Removed, Listener: x.Listener, Hostname: x.Hostname, Details: x.details()})
	case x.Misdirected != y.Misdirected:
		out = append(out, Difference{Kind: Changed, Listener: y.Listener, Hostname: y.Hostname, Details: changes(x.details(), y.details())})
	}
	for _, d := range diffRules(x.Rules, y.Rules) {
		d.Listener, d.Hostname = place.Listener, place.Hostname
		out = append(out, d)
	}
	return out
}

func (h Host) details() []string {
	if h.Misdirected {
		return []string{"answers 421 (another listener has this hostname)"}
	}
	return nil
}

// changes are the lines that only one of two lists has: "- before", "+ after".
func changes(before, after []string) []string {
	var out []string
	for _, line := range before {
		if !slices.Contains(after, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			out = append(out, "+ "+line)
		}
	}
	if len(out) == 0 && !slices.Equal(before, after) {
		return []string{"order: " + strings.Join(before, ", ") + " → " + strings.Join(after, ", ")}
	}
	return out
}

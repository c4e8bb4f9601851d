package describe

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// Rule is one match of one rule of a route, and where it leads.
type Rule struct {
	// Match says which requests: "prefix /api method GET header x-user=anna".
	Match string `json:"match"`
	// Route is the namespace/name of the object that asks for it, with its kind ahead
	// of it (grpcroute/) where it is no HTTPRoute; Index counts its rules, and MatchIndex the matches of the rule, from 0.
	Route      string `json:"route"`
	Index      int    `json:"rule"`
	MatchIndex int    `json:"matchIndex"`
	// Filters are what is changed, mirrored, limited or answered, in words.
	Filters []string `json:"filters,omitempty"`
	// Backends share the requests; empty where a filter answers.
	Backends []Backend `json:"backends,omitempty"`
}

// Backend is one share of the requests of a rule.
type Backend struct {
	// Name is namespace/service/port; "" where the reference cannot be resolved:
	// that share gets Answer.
	Name string `json:"name"`
	// Percent is the share, to four decimal places.
	Percent float64 `json:"percent"`
	Invalid bool    `json:"invalid,omitempty"`
	// TLS says as whom the backend must identify itself, where it is reached over TLS.
	TLS string `json:"tls,omitempty"`
	// Answer is 500, UNAVAILABLE or closed where Invalid.
	Answer string `json:"answer,omitempty"`
	// Filters apply to this backend only.
	Filters []string `json:"filters,omitempty"`
}

// String is the backend as people write it: its name, the TLS, the share
// unless it is everything, and its filters.
func (b Backend) String() string {
	out := b.Name
	if b.Invalid {
		out = "unresolved (" + b.Answer + ")"
	}
	if b.TLS != "" {
		out += " over TLS as " + b.TLS
	}
	if b.Percent != 100 {
		out += " " + strconv.FormatFloat(b.Percent, 'g', 4, 64) + "%"
	}
	if len(b.Filters) > 0 {
		out += " [" + strings.Join(b.Filters, "; ") + "]"
	}
	return out
}

// rule puts together the Envoy routes of one entry, which have one name. They are
// one share of the requests after another; within a share the last route is the
// entry itself, and those ahead of it treat its special cases.
func rule(routes []*routev3.Route) (Rule, error) {
	out, err := named(routes[0].GetName())
	if err != nil {
		return Rule{}, err
	}
	var shares []*routev3.Route
	for i, r := range routes {
		if i+1 == len(routes) || form.Until(routes[i+1]) != form.Until(r) {
			shares = append(shares, r)
		}
	}
	last := shares[len(shares)-1]
	out.Match = match(last.GetMatch())
	if len(shares) == 1 {
		out.Backends = backends(last.GetRoute(), 100)
		out.Filters, err = filters(last)
		return out, err
	}
	before := 0.0
	for _, s := range shares {
		until := form.Until(s)
		list, err := filters(s)
		if err != nil {
			return Rule{}, err
		}
		share := form.Round(until - before)
		inShare := backends(s.GetRoute(), share)
		if len(inShare) == 0 {
			inShare = []Backend{{Percent: share}}
		}
		for _, b := range inShare {
			b.Filters = append(b.Filters, list...)
			out.Backends = append(out.Backends, b)
		}
		before = until
	}
	return out, nil
}

// named reads namespace/route/rule/match, which of what is no HTTPRoute has the
// kind ahead of it, such as grpc/.
func named(name string) (Rule, error) {
	kind := ""
	parts := strings.Split(name, "/")
	if len(parts) == 5 {
		kind, parts = parts[0]+"route/", parts[1:]
	}
	if len(parts) != 4 {
		return Rule{}, fmt.Errorf("route %q is not named namespace/route/rule/match", name)
	}
	index, err1 := strconv.Atoi(parts[2])
	matchIndex, err2 := strconv.Atoi(parts[3])
	if err := cmp.Or(err1, err2); err != nil {
		return Rule{}, fmt.Errorf("route %q: %w", name, err)
	}
	return Rule{Route: kind + parts[0] + "/" + parts[1], Index: index, MatchIndex: matchIndex}, nil
}

// Name is that of the Envoy routes of the rule, which [named] reads.
func (r Rule) Name() string {
	object := r.Route
	if kind, rest, _ := strings.Cut(object, "/"); strings.Contains(rest, "/") {
		object = strings.TrimSuffix(kind, "route") + "/" + rest
	}
	return fmt.Sprintf("%s/%d/%d", object, r.Index, r.MatchIndex)
}

// backends are where an action sends a share of the requests, which is given in percent.
func backends(action *routev3.RouteAction, share float64) []Backend {
	if action == nil {
		return nil
	}
	weighted := action.GetWeightedClusters()
	if weighted == nil {
		return []Backend{backend(action, action.GetCluster(), share)}
	}
	var total float64
	for _, c := range weighted.GetClusters() {
		total += float64(c.GetWeight().GetValue())
	}
	var out []Backend
	for _, c := range weighted.GetClusters() {
		b := backend(action, c.GetName(), form.Round(share*float64(c.GetWeight().GetValue())/total))
		if host := c.GetHostRewriteLiteral(); host != "" {
			b.Filters = append(b.Filters, "set header Host: "+host)
		}
		b.Filters = append(b.Filters, headerChanges("header", c.GetRequestHeadersToAdd(), c.GetRequestHeadersToRemove())...)
		b.Filters = append(b.Filters, headerChanges("response header", c.GetResponseHeadersToAdd(), c.GetResponseHeadersToRemove())...)
		out = append(out, b)
	}
	return out
}

func backend(action *routev3.RouteAction, cluster string, percent float64) Backend {
	if cluster == form.Unresolved {
		answer := "500"
		if action.GetClusterNotFoundResponseCode() == routev3.RouteAction_SERVICE_UNAVAILABLE {
			answer = "UNAVAILABLE"
		}
		return Backend{Percent: percent, Invalid: true, Answer: answer}
	}
	return Backend{Name: cluster, Percent: percent}
}

package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
)

// side is what was, or would be, published for a Gateway, as far as it is compared.
type side struct {
	resources map[routing.ResourceName]routing.Resource
	described *describe.Gateway
}

// touched are the resources on both sides of a difference that it touches, and those
// that have to do with any request.
func touched(before *routing.GatewayState, d *routing.GatewayDelta) (was, is map[routing.ResourceName]routing.Resource) {
	general := slices.ContainsFunc(d.Changed, func(r routing.Resource) bool { return r.Type == envoy.TypeListener }) ||
		slices.ContainsFunc(d.Removed, func(id routing.ResourceName) bool { return id.Type == envoy.TypeListener })
	return history.Sides(before, d, func(id routing.ResourceName) bool {
		return general || id.Type != envoy.TypeScope || strings.HasSuffix(id.Name, "/*")
	})
}

// destinations are the requests that would go elsewhere: for each rule on either side
// one is tried on both.
func destinations(gateway string, was, is side) ([]destination, error) {
	before, err := evaluate.Read(was.resources)
	if err != nil {
		return nil, err
	}
	now, err := evaluate.Read(is.resources)
	if err != nil {
		return nil, err
	}
	var out []destination
	tried := map[string]bool{}
	for i, config := range []*evaluate.Config{before, now} {
		for _, probe := range config.Probes() {
			a, err := before.Answer(&probe.Request)
			if err != nil {
				return nil, err
			}
			b, err := now.Answer(&probe.Request)
			if err != nil {
				return nil, err
			}
			if []*evaluate.Answer{a, b}[i].Route != probe.Route || tried[probe.String()] {
				continue // another rule takes it, or it was tried
			}
			tried[probe.String()] = true
			d, differs := newDestination(sharesOf(a), sharesOf(b))
			if !differs {
				continue
			}
			d.Gateway, d.Listener, d.Host = gateway, probe.Chain, probe.Host
			d.Match = matchOf([]side{was, is}[i].described, probe)
			out = append(out, d)
		}
	}
	out = append(out, streams(gateway, was.described, is.described)...)
	slices.SortStableFunc(out, func(a, b destination) int {
		return cmp.Or(cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Host, b.Host))
	})
	return out, nil
}

// sharesOf are the shares of an answer; where nobody takes the request, all of it ends so.
func sharesOf(a *evaluate.Answer) []share {
	out := newShares(a)
	if len(out) == 0 && a.Outcome != evaluate.Streamed {
		out = []share{{Percent: 100, Why: outcomes[a.Outcome]}}
	}
	return out
}

// matchOf says for which rule a probe is.
func matchOf(g *describe.Gateway, p evaluate.Probe) string {
	if r, ok := rulesOf(g, p.Chain, p.Host)[p.Route]; ok {
		return r.Match
	}
	return p.Method + " " + p.Target
}

// streams are the connections that would be forwarded elsewhere.
func streams(gateway string, was, is *describe.Gateway) []destination {
	type place struct{ listener, host string }
	var order []place
	sides := [2]map[place][]share{{}, {}}
	for i, g := range []*describe.Gateway{was, is} {
		for _, h := range g.Hosts {
			if len(h.Rules) != 1 || h.Rules[0].Match != describe.AllConnections {
				continue
			}
			at := place{h.Listener, h.Hostname}
			if sides[0][at] == nil && sides[1][at] == nil {
				order = append(order, at)
			}
			for _, b := range h.Rules[0].Backends {
				s := share{Percent: b.Percent, Backend: b.Name}
				if b.Invalid {
					s.Why = "the backend cannot be resolved"
				}
				sides[i][at] = append(sides[i][at], s)
			}
		}
	}
	var out []destination
	for _, at := range order {
		for i := range sides {
			if sides[i][at] == nil {
				sides[i][at] = []share{{Percent: 100, Why: "nobody forwards it"}}
			}
		}
		if d, differs := newDestination(sides[0][at], sides[1][at]); differs {
			d.Gateway, d.Listener, d.Host, d.Match = gateway, at.listener, at.host, describe.AllConnections
			out = append(out, d)
		}
	}
	return out
}

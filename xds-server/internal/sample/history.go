// Package sample makes versions, resources and slices by hand, for tests.
package sample

import (
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// World is what the Gateways should run: resources by Gateway.
type World map[string][]routing.Resource

// History publishes worlds as a projector would: each as a delta to the one
// before. The zero value is not usable; see [NewHistory].
type History struct {
	version events.Version
	last    map[string]map[routing.ResourceName]routing.Resource
}

// NewHistory begins a log of the given incarnation.
func NewHistory(incarnation string) *History {
	return &History{version: events.Version{Incarnation: incarnation}, last: map[string]map[routing.ResourceName]routing.Resource{}}
}

// Publish is the version that makes the world so.
func (h *History) Publish(world World) *routing.Snapshot {
	previous := h.version
	if previous.Sequence == 0 {
		previous = events.Version{}
	}
	h.version.Sequence++
	out := &routing.Snapshot{Version: h.version, Previous: previous, FoldVersion: 1, Time: time.Unix(int64(h.version.Sequence), 0).UTC()}
	next := map[string]map[routing.ResourceName]routing.Resource{}
	for _, gateway := range slices.Sorted(maps.Keys(world)) {
		next[gateway] = map[routing.ResourceName]routing.Resource{}
		for _, r := range world[gateway] {
			next[gateway][r.ResourceName] = r
		}
		if d := delta(gateway, h.last[gateway], next[gateway]); d != nil {
			out.Gateways = append(out.Gateways, *d)
		}
	}
	for _, gateway := range slices.Sorted(maps.Keys(h.last)) {
		if next[gateway] == nil {
			out.Gateways = append(out.Gateways, routing.GatewayDelta{Gateway: gateway, Deleted: true})
		}
	}
	h.last = next
	return out
}

func delta(gateway string, before, after map[routing.ResourceName]routing.Resource) *routing.GatewayDelta {
	d := &routing.GatewayDelta{Gateway: gateway}
	for _, name := range slices.SortedFunc(maps.Keys(after), routing.ResourceName.Compare) {
		r := after[name]
		d.Digest = d.Digest.Add(routing.DigestOf([]byte(r.Type), []byte(r.Name), r.Digest[:]))
		if old, ok := before[name]; !ok || old.Digest != r.Digest {
			d.Changed = append(d.Changed, r)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(before), routing.ResourceName.Compare) {
		if _, ok := after[name]; !ok {
			d.Removed = append(d.Removed, name)
		}
	}
	if before != nil && len(d.Changed) == 0 && len(d.Removed) == 0 {
		return nil
	}
	return d
}

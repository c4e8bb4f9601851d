package standalone

import (
	"fmt"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// view is what the screen has seen so far.
type view struct {
	// state is the newest version until the first one is printed, and nil from then
	// on: it is large.
	state    *routing.State
	seen     bool                            // any version
	served   map[string]bool                 // Gateways
	held     map[string]routing.EnvoyReceipt // by Gateway
	waiting  []line                          // versions that not all Envoys have yet, oldest first
	refusals map[string]bool
}

// line is what is printed of a version.
type line struct {
	version events.Version
	time    time.Time
	causes  []uint64
	effects string
}

// mostWaiting bounds what waits for Envoys that do not come: older ones are not
// printed.
const mostWaiting = 1000

func newView() *view {
	return &view{state: routing.NewState(), served: map[string]bool{}, held: map[string]routing.EnvoyReceipt{}, refusals: map[string]bool{}}
}

func (v *view) take(batch []*routing.Snapshot) error {
	for _, snap := range batch {
		v.seen = true
		serve(v.served, snap)
		v.waiting = append(v.waiting, line{snap.Version, snap.Time, snap.Causes, effects(snap)})
		v.waiting = v.waiting[max(0, len(v.waiting)-mostWaiting):]
		if v.state == nil {
			continue
		}
		if snap.Previous.IsZero() {
			v.state = routing.NewState()
		}
		if err := v.state.Apply(snap); err != nil {
			return err
		}
	}
	return nil
}

// serve brings a set of Gateways up to date with a version.
func serve(gateways map[string]bool, snap *routing.Snapshot) {
	if snap.Previous.IsZero() {
		clear(gateways)
	}
	for _, g := range snap.Gateways {
		if g.Deleted {
			delete(gateways, g.Gateway)
		} else {
			gateways[g.Gateway] = true
		}
	}
}

// has tells whether the Envoy of every Gateway that is served holds a version; the
// first one without having refused a part of it, and by at least one Envoy.
func (v *view) has(version events.Version) bool {
	for name := range v.served {
		r := v.held[name]
		if r.Held.Incarnation != version.Incarnation || r.Held.Sequence < version.Sequence || v.state != nil && len(r.Refused) > 0 {
			return false
		}
	}
	return len(v.served) > 0 || v.state == nil
}

// since is when the last Envoy came to hold what it holds.
func (v *view) since() time.Time {
	var last time.Time
	for name := range v.served {
		if at := v.held[name].HeldAt; at.After(last) {
			last = at
		}
	}
	return last
}

// effects counts what changed for Envoy, and the verdicts.
func effects(snap *routing.Snapshot) string {
	var parts []string
	for _, g := range snap.Gateways {
		counts := map[string]int{}
		for _, r := range g.Changed {
			counts[shortType(r.Type)]++
		}
		for _, r := range g.Removed {
			counts["removed "+shortType(r.Type)]++
		}
		var list []string
		for _, kind := range []string{"listener", "route", "cluster", "certificate", "removed listener", "removed route", "removed cluster", "removed certificate"} {
			if n := counts[kind]; n > 0 {
				list = append(list, fmt.Sprintf("%d %s", n, kind))
			}
		}
		if g.Deleted {
			list = []string{"no longer served"}
		}
		parts = append(parts, g.Gateway+": "+strings.Join(list, ", "))
	}
	if len(parts) == 0 {
		return "conditions only"
	}
	return strings.Join(parts, "; ")
}

func shortType(url string) string {
	switch name := url[strings.LastIndexByte(url, '.')+1:]; name {
	case "Listener":
		return "listener"
	case "Cluster":
		return "cluster"
	case "Secret":
		return "certificate"
	default:
		return "route"
	}
}

package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/conformance/install"
)

// Memory is how much memory the roles have, with so many routes.
type Memory struct {
	Routes int
	// Busy is right after the last route was served, Idle a while later.
	Busy, Idle []Footprint
}

// Footprint is the memory of a process, in MiB.
type Footprint struct {
	Role string
	// Resident counts what several processes share, as the program itself, in each of
	// them; Proportional divides it among them. Peak is the most that was resident.
	Resident, Proportional, Peak float64
}

// resident adds routes until there are so many, and measures.
func (w *world) resident(ctx context.Context, from, to int) (*Memory, error) {
	w.say("%d routes, for memory", to)
	if err := w.makeRoutes(ctx, from, to); err != nil {
		return nil, err
	}
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	result := &Memory{Routes: max(from, to)}
	var err error
	if result.Busy, err = w.footprints(); err != nil {
		return nil, err
	}
	w.say("nothing, for %v", w.cfg.Idle)
	if err := wait(ctx, w.cfg.Idle); err != nil {
		return nil, err
	}
	result.Idle, err = w.footprints()
	return result, err
}

// roles are the processes of Rutter and NATS that run, by role: those of the chart, and
// the agents beside Envoys.
func (w *world) roles() map[string][]int {
	all := make(map[string][]int)
	for _, process := range w.cluster.Processes() {
		switch {
		case process.Namespace == install.Namespace:
			all[process.Container] = append(all[process.Container], process.PID)
		case process.Container == "agent":
			all["envoy-agent"] = append(all["envoy-agent"], process.PID)
		}
	}
	return all
}

func (w *world) pids(role string) []int { return w.roles()[role] }

// footprints are the memory of each process, in the order of their roles.
func (w *world) footprints() ([]Footprint, error) {
	var all []Footprint
	for role, pids := range w.roles() {
		for _, pid := range pids {
			found, err := footprint(pid)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", role, err)
			}
			found.Role = role
			all = append(all, found)
		}
	}
	slices.SortFunc(all, func(a, b Footprint) int { return strings.Compare(a.Role, b.Role) })
	return all, nil
}

func footprint(pid int) (Footprint, error) {
	now, err := mebibytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Rss", "Pss")
	if err != nil {
		return Footprint{}, err
	}
	most, err := mebibytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
	return Footprint{Resident: now["Rss"], Proportional: now["Pss"], Peak: most["VmHWM"]}, err
}

// mebibytes reads fields that are in kB.
func mebibytes(path string, fields ...string) (map[string]float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		if !slices.Contains(fields, name) {
			continue
		}
		var kib float64
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		found[name] = kib / 1024
	}
	if len(found) != len(fields) {
		return nil, fmt.Errorf("%s has not all of %v", path, fields)
	}
	return found, nil
}

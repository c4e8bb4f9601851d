package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// refolded is what this build makes of a version that comes out otherwise than it was
// published: the difference in routing terms, from what was published to that.
type refolded struct {
	Version string `json:"version"`
	differences
	Conditions []told `json:"conditions,omitempty"`
}

// told is an object of which something else is said.
type told struct {
	Object string `json:"object"`
	Was    string `json:"was"`
	Now    string `json:"now"`
}

// explained makes of findings what they mean: for the first version that comes out
// otherwise, and for the last.
func explained(ctx context.Context, log events.Log, findings []replay.Finding) ([]*refolded, error) {
	var versions []events.Version
	for _, f := range findings {
		if f.What != "events" && f.What != "version" && !slices.Contains(versions, f.Version) {
			versions = append(versions, f.Version)
		}
	}
	if len(versions) > 2 {
		versions = []events.Version{versions[0], versions[len(versions)-1]}
	}
	if len(versions) == 0 {
		return nil, nil
	}
	h, err := history.Open(ctx, log)
	if err != nil {
		return nil, err
	}
	var out []*refolded
	for _, v := range versions {
		r, err := refold(ctx, h, v)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func refold(ctx context.Context, h *history.History, version events.Version) (*refolded, error) {
	was, err := h.State(ctx, version)
	if err != nil {
		return nil, err
	}
	now, err := h.Refold(ctx, version.Sequence)
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(append(gatewayNames(was), gatewayNames(now)...))))
	d, err := newDifferences(was, now, names)
	if err != nil {
		return nil, err
	}
	return &refolded{Version: version.String(), differences: *d, Conditions: toldOtherwise(was, now)}, nil
}

func toldOtherwise(was, now *routing.State) []told {
	keys := maps.Clone(was.Verdicts)
	maps.Copy(keys, now.Verdicts)
	var out []told
	for _, key := range slices.SortedFunc(maps.Keys(keys), events.Key.Compare) {
		a, b := was.Verdicts[key], now.Verdicts[key]
		if a.Digest() == b.Digest() {
			continue
		}
		out = append(out, told{history.Object(key), saidOf(a), saidOf(b)})
	}
	return out
}

// saidOf is what a verdict says, in one line with the messages of what is bad.
func saidOf(v routing.Verdict) string {
	list := conditionsOf(v)
	if len(list) == 0 {
		return "nothing"
	}
	text := summary(list).Text
	for _, message := range messages(list) {
		text += "; " + message
	}
	return text
}

func (r *refolded) write(w io.Writer, colours bool) error {
	if _, err := fmt.Fprintf(w, "\nVersion %s of this build, in place of what was published\n", r.Version); err != nil {
		return err
	}
	if err := writeGateways(w, r.Gateways, colours); err != nil {
		return err
	}
	for _, t := range r.Conditions {
		text := fmt.Sprintf("  - %s\n  + %s", t.Was, t.Now)
		if t.Was == t.Now {
			text = "  ~ what its conditions do not show, such as the event that they are about"
		}
		if _, err := fmt.Fprintf(w, "%s\n%s\n", t.Object, text); err != nil {
			return err
		}
	}
	return nil
}

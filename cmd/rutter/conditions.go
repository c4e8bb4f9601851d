package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// gatewayNames are the Gateways of a version, served or not, sorted.
func gatewayNames(s *routing.State) []string {
	names := map[string]struct{}{}
	for name := range s.Gateways {
		names[name] = struct{}{}
	}
	for key := range s.Verdicts {
		if key.Resource == events.Gateways {
			names[key.Namespace+"/"+key.Name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// gatewayVerdict is the verdict on the Gateway namespace/name, if there is one.
func gatewayVerdict(s *routing.State, name string) (routing.Verdict, bool) {
	namespace, short, _ := strings.Cut(name, "/")
	v, ok := s.Verdicts[events.Key{Resource: events.Gateways, Namespace: namespace, Name: short}]
	return v, ok
}

// condition is one condition for people, and who says it about what.
type condition struct {
	// On is the listener, the parent or the ancestor that it is about; "" for the object itself.
	On string `json:"on,omitempty"`
	routing.Condition
}

func conditionsOf(v routing.Verdict) []condition {
	var out []condition
	for _, c := range v.Conditions {
		out = append(out, condition{Condition: c})
	}
	for _, l := range v.Listeners {
		for _, c := range l.Conditions {
			out = append(out, condition{On: "listener " + l.Name, Condition: c})
		}
	}
	for _, p := range slices.Concat(v.Parents, v.Ancestors) {
		on := history.Parent(v.Object, p)
		if p.Ref.SectionName != nil {
			on += " " + *p.Ref.SectionName
		}
		for _, c := range p.Conditions {
			out = append(out, condition{On: on, Condition: c})
		}
	}
	return out
}

func (c condition) bad() bool { return history.Bad(c.Condition) }

// summary is conditions in a line: all of an object's own, and of the others the
// bad ones.
func summary(list []condition) display.Cell {
	var parts []string
	colour := display.Good
	for _, c := range list {
		text := history.ConditionText(c.Condition)
		switch {
		case c.bad():
			colour = display.Bad
			if c.On != "" {
				text = c.On + ": " + text
			}
		case c.On != "" && strings.HasPrefix(c.On, "listener "), c.Status != "True":
			continue
		}
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return display.Cell{Text: strings.Join(parts, ", "), Colour: colour}
}

// messages are those of the bad conditions, each once: "InvalidCertificateRef: …".
func messages(list []condition) []string {
	var out []string
	for _, c := range list {
		if text := c.Reason + ": " + c.Message; c.bad() && c.Message != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

func anyBad(list []condition) bool { return slices.ContainsFunc(list, condition.bad) }

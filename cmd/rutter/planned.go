package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/preview"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
)

// plan is what would come of a change.
type plan struct {
	// At is what it is made on top of.
	At      moment            `json:"at"`
	Changes []plannedChange   `json:"changes"`
	Refused []preview.Problem `json:"refused,omitempty"`
	Ignored []preview.Problem `json:"ignored,omitempty"`
	// Conditions are those that would differ.
	Conditions   []plannedCondition  `json:"conditions"`
	Gateways     []gatewayDifference `json:"gateways"`
	Destinations []destination       `json:"destinations"`
	// Unknown is what the plan cannot know.
	Unknown []string `json:"unknown,omitempty"`
	// Worse is whether something gets worse.
	Worse bool `json:"worse"`
}

// plannedChange is one object.
type plannedChange struct {
	Change string          `json:"change"` // created, updated, deleted or unchanged
	Object string          `json:"object"`
	Fields []history.Field `json:"fields,omitempty"`
}

// plannedCondition is one condition that differs. Before or Now is "" for none.
type plannedCondition struct {
	Object  string `json:"object"`
	On      string `json:"on,omitempty"`
	Before  string `json:"before,omitempty"`
	Now     string `json:"now,omitempty"`
	Message string `json:"message,omitempty"`
	Worse   bool   `json:"worse,omitempty"`
}

// tell says what would be recorded.
func (p *plan) tell(coming *preview.Preview, recorded func(events.Key) []byte) {
	p.Changes, p.Conditions, p.Gateways, p.Destinations = []plannedChange{}, []plannedCondition{}, []gatewayDifference{}, []destination{}
	p.Refused, p.Ignored, p.Worse = coming.Refused, coming.Ignored, len(coming.Refused) > 0
	secrets := false
	for _, e := range coming.Events {
		change := plannedChange{Object: history.Object(e.Key), Change: "created"}
		before := recorded(e.Key)
		switch {
		case e.Type == events.ObjectDeleted:
			change.Change = "deleted"
		case before != nil:
			change.Change, change.Fields = "updated", history.FieldsThatDiffer(before, e.Data)
		}
		secrets = secrets || e.Key.Resource == events.Secrets && e.Type == events.ObjectApplied
		p.Changes = append(p.Changes, change)
	}
	for _, key := range coming.Unchanged {
		p.Changes = append(p.Changes, plannedChange{Object: history.Object(key), Change: "unchanged"})
	}
	for _, key := range coming.Unknown {
		p.Unknown = append(p.Unknown, fmt.Sprintf("whether %s exists: it is recorded only once something recorded refers to it, and the plan takes it for missing", history.Object(key)))
	}
	if secrets {
		p.Unknown = append(p.Unknown, "whether the private keys can be sealed: they are checked against their certificates, and then left out")
	}
}

// compare says what a version would change in the one before.
func (p *plan) compare(before *routing.State, s *routing.Snapshot) error {
	for _, v := range s.Verdicts {
		p.compareConditions(history.Object(v.Object), conditionsOf(before.Verdicts[v.Object]), conditionsOf(v))
	}
	for i := range s.Gateways {
		if err := p.compareGateway(before, &s.Gateways[i]); err != nil {
			return err
		}
	}
	p.Worse = p.Worse || slices.ContainsFunc(p.Conditions, func(c plannedCondition) bool { return c.Worse }) ||
		slices.ContainsFunc(p.Destinations, func(d destination) bool { return d.Lost > 0 })
	return nil
}

func (p *plan) compareConditions(object string, before, now []condition) {
	same := func(a condition) func(condition) bool {
		return func(b condition) bool { return a.On == b.On && a.Type == b.Type }
	}
	for _, c := range now {
		out := plannedCondition{Object: object, On: c.On, Now: history.ConditionText(c.Condition), Message: c.Message, Worse: c.bad()}
		if i := slices.IndexFunc(before, same(c)); i >= 0 {
			out.Before, out.Worse = history.ConditionText(before[i].Condition), c.bad() && !before[i].bad()
			if before[i].Condition == c.Condition {
				continue
			}
		}
		p.Conditions = append(p.Conditions, out)
	}
	for _, c := range before {
		if !slices.ContainsFunc(now, same(c)) {
			p.Conditions = append(p.Conditions, plannedCondition{Object: object, On: c.On, Before: history.ConditionText(c.Condition)})
		}
	}
}

// compareGateway compares what a difference touches.
func (p *plan) compareGateway(before *routing.State, d *routing.GatewayDelta) error {
	was, is := touched(before.Gateways[d.Gateway], d)
	a, err := describe.Of(d.Gateway, was)
	if err != nil {
		return err
	}
	b, err := describe.Of(d.Gateway, is)
	if err != nil {
		return err
	}
	if list := describe.Diff(a, b); len(list) > 0 {
		p.Gateways = append(p.Gateways, gatewayDifference{d.Gateway, list})
	}
	list, err := destinations(d.Gateway, side{was, a}, side{is, b})
	p.Destinations = append(p.Destinations, list...)
	return err
}

// destination is where requests of one kind would go, where that differs.
type destination struct {
	Gateway  string `json:"gateway"`
	Listener string `json:"listener"`
	Host     string `json:"host"`
	// Match is that of the rule for which there are such requests.
	Match  string   `json:"match"`
	Before []string `json:"before"`
	Now    []string `json:"now"`
	// Moved and Lost are the parts of the requests, in percent, that would go elsewhere,
	// and that would no longer be served.
	Moved float64 `json:"moved"`
	Lost  float64 `json:"lost,omitempty"`
}

// newDestination compares two answers to the same request; false where they are alike.
func newDestination(before, now []share) (destination, bool) {
	d := destination{Before: texts(before), Now: texts(now)}
	for _, s := range before {
		stays := 0.0
		for _, other := range now {
			if other.goesWhere() == s.goesWhere() {
				stays += other.Percent
			}
		}
		d.Moved += max(0, s.Percent-stays)
	}
	d.Lost = max(0, badPart(now)-badPart(before))
	d.Moved, d.Lost = math.Round(d.Moved*100)/100, math.Round(d.Lost*100)/100
	return d, !slices.Equal(d.Before, d.Now)
}

// goesWhere is a share without its size.
func (s share) goesWhere() string {
	s.Percent = 100
	return s.text(false)
}

func badPart(list []share) float64 {
	sum := 0.0
	for _, s := range list {
		if s.bad() {
			sum += s.Percent
		}
	}
	return sum
}

func texts(list []share) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, s.text(false))
	}
	return out
}

func (p *plan) bad() bool { return p.Worse }

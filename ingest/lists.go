package ingest

import (
	"cmp"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// lists is how far the lists of the present epoch have come.
type lists struct {
	resources []string
	state     map[string]*listState
}

type listState struct {
	open     bool // its start is recorded, its end is not
	complete bool // there was a complete one in this epoch
	whole    bool // its first list in this epoch records every object again
	problem  *events.SyncProblem
}

func newLists(resources []string, whole map[string]bool) *lists {
	l := &lists{resources: resources, state: map[string]*listState{}}
	for _, resource := range resources {
		l.state[resource] = &listState{whole: whole[resource]}
	}
	return l
}

// begin tells whether the start of a list is still to be recorded.
func (l *lists) begin(resource string) bool {
	begun := l.state[resource].open
	l.state[resource].open = true
	return !begun
}

func (l *lists) complete(resource string) bool { return l.state[resource].complete }

// all tells whether every resource was listed in this epoch.
func (l *lists) all() bool { return l.waitsFor() == "" }

// waitsFor says which resource is still to be listed, and why; "" when none is.
func (l *lists) waitsFor() string {
	for _, resource := range l.resources {
		state := l.state[resource]
		switch {
		case state.complete:
		case state.problem != nil:
			return fmt.Sprintf("%s cannot be listed: %s", resource, state.problem.Message)
		default:
			return resource + " are not listed yet"
		}
	}
	return ""
}

// take notes what was recorded.
func (l *lists) take(list observed.List, problem *events.SyncProblem) {
	state := l.state[list.Resource]
	state.problem = problem
	if list.Complete && !list.Restated {
		state.open, state.complete, state.whole = false, true, false
	}
}

// brackets are the events that begin and end lists. A list begins with its first
// change, so that it is open for as short a time as may be: nothing is projected
// meanwhile.
func (s *Service) brackets(list []observed.List, changes bool) (begun, done []events.Event) {
	for i := range list {
		each := &list[i]
		sync := events.Sync{Resource: each.Resource, ResourceVersion: each.ResourceVersion}
		known := each.Optional || s.events.index.Listed[each.Resource] || each.Resource == events.EndpointSlices && s.endpoints.index.Whole.Sequence > 0
		if each.Problem != nil && each.Problem.Reason == events.ReasonForbidden && !known {
			// Nothing is known of the resource, and that is not the same as there being
			// nothing: its list stays open, and nothing is projected.
			each.Complete = false
			continue
		}
		brackets := each.Resource != events.EndpointSlices // whose are in ENDPOINTS
		if brackets && !each.Restated && (changes || each.Complete) && each.Problem == nil && s.lists.begin(each.Resource) {
			begun = append(begun, s.bracket(s.events, events.TypeSyncStart, sync))
		}
		if !each.Complete {
			continue
		}
		sync.Problem = s.problemOf(*each)
		state := s.lists.state[each.Resource]
		sync.Whole = brackets && state.whole && sync.Problem == nil
		if brackets || !sameProblem(state.problem, sync.Problem) {
			done = append(done, s.bracket(s.events, events.TypeSyncDone, sync))
		}
	}
	return begun, done
}

// problemOf is what is wrong with a list, or else with what it lacks, or else with
// what it has.
func (s *Service) problemOf(list observed.List) *events.SyncProblem {
	return cmp.Or(list.Problem, s.hold.problem(list.Resource), s.tooLarge.problem(list.Resource))
}

func sameProblem(a, b *events.SyncProblem) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// relists is the list of EndpointSlices among these, if it has to be recorded as a
// whole (see upkeep.go).
func (s *Service) relists(list []observed.List) *observed.List {
	for i, each := range list {
		if each.Resource == events.EndpointSlices && each.Problem == nil && !each.Restated && (s.lists.state[each.Resource].open || s.relistDue()) {
			return &list[i]
		}
	}
	return nil
}

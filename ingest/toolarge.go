package ingest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
	"github.com/rutter-gateway/rutter/ingest/internal/record"
	"github.com/rutter-gateway/rutter/internal/process"
)

// tooLargeReason is why an object is dropped that is larger than a message of the log.
const tooLargeReason = "too-large"

// maxNamed is how many objects a message names.
const maxNamed = 5

// tooLarge leaves out objects that are larger than a message of the log. Nobody can
// do anything but make them smaller; what was recorded of them stays in force, and
// nothing else waits for them.
type tooLarge struct {
	s       *Service
	objects map[string]map[events.Key]int // by resource: what they would take
}

func newTooLarge(s *Service) *tooLarge {
	return &tooLarge{s: s, objects: map[string]map[events.Key]int{}}
}

// take leaves out of a batch what is too large, and adds to the lists of c what is
// to be said about that.
func (l *tooLarge) take(b *record.Batch, c *observed.Changes) {
	changed := map[string]bool{}
	for _, gone := range slices.Concat(c.Deleted, c.Vanished) {
		if _, was := l.objects[gone.Key.Resource][gone.Key]; was {
			delete(l.objects[gone.Key.Resource], gone.Key)
			changed[gone.Key.Resource] = true
		}
	}
	b.EndpointsApplied = l.filter(b.EndpointsApplied, l.s.endpoints.maxData, changed)
	b.Events = l.filter(b.Events, l.s.events.maxData, changed)
	b.EndpointsDeleted = l.filter(b.EndpointsDeleted, l.s.endpoints.maxData, changed)
	for _, resource := range slices.Sorted(maps.Keys(changed)) {
		restate(c, resource)
	}
}

func (l *tooLarge) filter(list []events.Event, most int, changed map[string]bool) []events.Event {
	return slices.DeleteFunc(list, func(e events.Event) bool {
		objects := l.objects[e.Key.Resource]
		before, was := objects[e.Key]
		if len(e.Data) <= most {
			if was {
				delete(objects, e.Key)
				changed[e.Key.Resource] = true
			}
			return false
		}
		l.s.metrics.dropped(e.Key.Resource, tooLargeReason)
		if before == len(e.Data) {
			return true
		}
		l.s.Logger.Error("an object is too large to be recorded", process.About(e.Key, generationOf(e), 0), slog.Int("bytes", len(e.Data)))
		if objects == nil {
			objects = map[events.Key]int{}
			l.objects[e.Key.Resource] = objects
		}
		objects[e.Key] = len(e.Data)
		changed[e.Key.Resource] = true
		return true
	})
}

// generationOf is that of a recorded object; 0 where it has none.
func generationOf(e events.Event) int64 {
	var o struct{ Metadata struct{ Generation int64 } }
	if err := json.Unmarshal(e.Data, &o); err != nil {
		return 0
	}
	return o.Metadata.Generation
}

// problem is what is to be said about a resource, if anything.
func (l *tooLarge) problem(resource string) *events.SyncProblem {
	var names []string
	for _, key := range slices.SortedFunc(maps.Keys(l.objects[resource]), events.Key.Compare) {
		names = append(names, fmt.Sprintf("%s (%d bytes)", strings.TrimPrefix(key.Namespace+"/"+key.Name, "/"), l.objects[resource][key]))
	}
	if len(names) == 0 {
		return nil
	}
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return &events.SyncProblem{
		Reason: events.ReasonTooLarge,
		Message: fmt.Sprintf("These %s are larger than a message of the log may be; what was recorded of them before stays in force: %s.",
			resource, strings.Join(names, ", ")),
	}
}

// restate asks for a word about a list, unless there is one anyway.
func restate(c *observed.Changes, resource string) {
	if !slices.ContainsFunc(c.Lists, func(l observed.List) bool { return l.Resource == resource && l.Complete }) {
		c.Lists = append(c.Lists, observed.List{Resource: resource, Complete: true, Restated: true})
	}
}

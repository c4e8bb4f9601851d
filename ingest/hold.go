package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// ConfirmAnnotation on a GatewayClass of ours confirms deletions that are held: its
// value is what the message about them says.
const ConfirmAnnotation = "rutter.dev/confirm-deletions"

const (
	// Deletions are held when more than heldAbove objects, and more than one of
	// every heldShare of their resource, vanish within heldWithin.
	heldAbove  = 10
	heldShare  = 5
	heldWithin = 10 * time.Second
)

// hold keeps back deletions that nobody was seen to make, while there are so many
// of them that they may be somebody's accident: a list that was cut short, a
// directory that is half checked out, a wrong delete. They end when the objects are
// back, are seen to be deleted, or are confirmed.
type hold struct {
	s        *Service
	vanished map[string]map[events.Key]observed.Deletion // by resource
	passed   map[string][]time.Time                      // deletions that were let through lately
	problems map[string]*events.SyncProblem
}

func newHold(s *Service) *hold {
	return &hold{
		s: s, vanished: map[string]map[events.Key]observed.Deletion{}, passed: map[string][]time.Time{}, problems: map[string]*events.SyncProblem{},
	}
}

// problem is what is to be said about a resource, if anything is held of it.
func (h *hold) problem(resource string) *events.SyncProblem { return h.problems[resource] }

// take notes changes, and returns the deletions that may be recorded. What is to be
// said about the others is added to the lists of c.
func (h *hold) take(c *observed.Changes) []observed.Deletion {
	for _, o := range c.Applied {
		delete(h.vanished[o.Key.Resource], o.Key)
	}
	for _, gone := range c.Deleted {
		delete(h.vanished[gone.Key.Resource], gone.Key)
	}
	var order []string
	for _, gone := range c.Vanished {
		resource := gone.Key.Resource
		if h.s.recorder.Known(gone.Key) == nil {
			continue
		}
		if h.vanished[resource] == nil {
			h.vanished[resource] = map[events.Key]observed.Deletion{}
		}
		h.vanished[resource][gone.Key] = gone
		if !slices.Contains(order, resource) {
			order = append(order, resource)
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(h.vanished)) {
		if !slices.Contains(order, resource) {
			order = append(order, resource)
		}
	}
	var out []observed.Deletion
	for _, resource := range order {
		out = append(out, h.decide(resource, c)...)
	}
	return out
}

// decide lets the deletions of a resource through, or holds all of them.
func (h *hold) decide(resource string, c *observed.Changes) []observed.Deletion {
	vanished, now := h.vanished[resource], h.s.Now()
	h.passed[resource] = slices.DeleteFunc(h.passed[resource], func(at time.Time) bool { return now.Sub(at) > heldWithin })
	before := h.problems[resource]
	lately := len(h.passed[resource])
	count, all := len(vanished)+lately, lately
	for range h.s.recorder.Keys(resource) {
		all++
	}
	token := h.token(resource)
	var out []observed.Deletion
	if len(vanished) > 0 && count > heldAbove && count*heldShare > all && !h.confirmed(c, token) {
		h.problems[resource] = &events.SyncProblem{Reason: events.ReasonDeletionsHeld, Message: heldMessage(resource, len(vanished), all-lately, token)}
	} else {
		for _, gone := range slices.SortedFunc(maps.Values(vanished), func(a, b observed.Deletion) int { return a.Key.Compare(b.Key) }) {
			out = append(out, gone)
			h.passed[resource] = append(h.passed[resource], now)
		}
		delete(h.vanished, resource)
		delete(h.problems, resource)
	}
	h.s.metrics.held(resource, len(h.vanished[resource]))
	if after := h.problems[resource]; !sameProblem(before, after) {
		h.say(resource, after)
		restate(c, resource)
	}
	return out
}

func heldMessage(resource string, count, all int, token string) string {
	return fmt.Sprintf("%d of %d %s are missing and stay in force, because so many at once may be a mistake. "+
		"To delete them, annotate this GatewayClass: %s=%s.", count, all, resource, ConfirmAnnotation, token)
}

func (h *hold) say(resource string, problem *events.SyncProblem) {
	if problem == nil {
		h.s.Logger.Info("deletions are no longer held", "resource", resource)
		return
	}
	h.s.Logger.Warn("deletions are held", "resource", resource, "error", problem.Message)
}

// token names exactly the objects that are missing of a resource, each as it was
// recorded last: it confirms no other deletion, and none a second time.
func (h *hold) token(resource string) string {
	sum := sha256.New()
	for _, key := range slices.SortedFunc(maps.Keys(h.vanished[resource]), events.Key.Compare) {
		fmt.Fprintf(sum, "%s %d\n", key, h.s.recorder.Known(key).Sequence)
	}
	return resource + "-" + hex.EncodeToString(sum.Sum(nil))[:10]
}

// confirmed tells whether a GatewayClass of ours, as it is recorded or as it is
// about to be, confirms a token. Several stand side by side, separated by commas.
func (h *hold) confirmed(c *observed.Changes, token string) bool {
	says := func(object map[string]any) bool {
		metadata, _ := object["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		spec, _ := object["spec"].(map[string]any)
		value, _ := annotations[ConfirmAnnotation].(string)
		return spec["controllerName"] == h.s.Settings.ControllerName && slices.Contains(strings.Split(value, ","), token)
	}
	if slices.ContainsFunc(c.Applied, func(o observed.Object) bool {
		return o.Key.Resource == events.GatewayClasses && says(o.Object)
	}) {
		return true
	}
	for _, class := range h.s.recorder.Keys(events.GatewayClasses) {
		if says(class.Object) {
			return true
		}
	}
	return false
}

package conditions

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// merge puts what we say into the conditions that an entry has now: a condition
// of ours is changed in place, taken out where we no longer say it, and appended
// where it is new and there is room. All others stay as they are.
func (r *result) merge(now []metav1.Condition, say []routing.Condition, ours []string) []metav1.Condition {
	said := make([]bool, len(say))
	out := make([]metav1.Condition, 0, max(len(now), len(say)))
	for _, c := range now {
		i := slices.IndexFunc(say, func(s routing.Condition) bool { return s.Type == c.Type })
		switch {
		case i >= 0 && !said[i]:
			said[i] = true
			out = append(out, r.condition(say[i], &c))
		case i < 0 && !slices.Contains(ours, c.Type):
			out = append(out, c)
		}
	}
	for i, s := range say {
		if !said[i] {
			out = append(out, r.condition(s, nil))
		}
	}
	return room(r, out, maxConditions)
}

// condition is what we say, dated by when its status became what it is.
func (r *result) condition(say routing.Condition, before *metav1.Condition) metav1.Condition {
	c := metav1.Condition{
		Type: say.Type, Status: metav1.ConditionStatus(say.Status), Reason: reason(say.Reason), Message: message(say.Message),
		ObservedGeneration: r.Verdict.Generation,
		// As the API server stores it.
		LastTransitionTime: metav1.NewTime(r.Now.UTC().Truncate(time.Second)),
	}
	if before != nil && before.Status == c.Status {
		c.LastTransitionTime = before.LastTransitionTime
	}
	return c
}

package route

import (
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

func newVerdict(o *fold.Object) *routing.Verdict {
	return &routing.Verdict{Object: o.Key, UID: o.UID, Generation: o.Generation, Since: o.Since}
}

// condition makes a condition; every one carries a reason and a sentence.
func condition(kind string, holds bool, reason, message string) routing.Condition {
	status := "False"
	if holds {
		status = "True"
	}
	return routing.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

// problem is why something is not as its owner wants: a reason of the Gateway
// API and a sentence for people. The zero problem is none.
type problem struct{ reason, message string }

func (p problem) ok() bool { return p == problem{} }

// condition is the condition kind: False for a problem, else True.
func (p problem) condition(kind, okReason, okMessage string) routing.Condition {
	if p.ok() {
		return condition(kind, true, okReason, okMessage)
	}
	return condition(kind, false, p.reason, p.message)
}

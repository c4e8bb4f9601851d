package kube

import (
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// message is what a follower tells. One of the fields about what happened is set.
type message struct {
	resource string
	at       time.Time // when it was heard

	// began: a list begins. What it finds follows.
	began bool
	// applied is an object that is in force; with are those that it is the first to
	// refer to.
	applied *observed.Object
	with    []observed.Object
	// seen is an object that is there and needs no recording.
	seen *events.Key
	// deleted is an object that was seen to be deleted.
	deleted *observed.Deletion
	// listed: the list that began is complete.
	listed bool
	// resumed: a problem is over, and nothing was missed.
	resumed bool
	// resourceVersion is where listed and resumed have come to.
	resourceVersion string
	// problem: the kind cannot be listed.
	problem *events.SyncProblem
	// judged: what a list did not find was looked for.
	judged *judgement
	// back: resourceVersions have gone backwards.
	back error
}

// judgement is what became of the objects that a list did not find.
type judgement struct {
	of   *listing
	gone []observed.Deletion
	// there is how many exist all the same.
	there int
}

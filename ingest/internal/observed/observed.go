// Package observed is what a source of objects hands to recording: what changed,
// and how far a list of a resource has come.
//
//	manifests, kube ──► Changes ──record──► events
//
// It promises nothing by itself: it is the one language that all sources speak,
// so that recording need not know them.
package observed

import (
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Object is an object that is now in force.
type Object struct {
	Key events.Key
	// Object is its content. One that comes with metadata.uid has its identity
	// already; to any other, recording gives one out. Integers are int64.
	Object map[string]any
	// Hash is normalize.Hash of what is recorded of it.
	Hash routing.Digest
	// File is where it came from, below the directory of manifests.
	File string
}

// Deletion is an object that is gone.
type Deletion struct {
	Key events.Key
	// UID tells which of several objects that had the name one after the other is
	// gone; empty for whichever is recorded.
	UID string
	// ResourceVersion is that of the deletion; empty where none was given out.
	ResourceVersion string
}

// List is how far the list of a resource has come. The objects of it are in the
// Applied of these and of earlier changes.
type List struct {
	Resource string
	// ResourceVersion is that of the list; empty while it is not known, and of a directory.
	ResourceVersion string
	// Complete lists end here. Of one that is Restated there was none: what is known
	// of the resource is as complete as it was, and only the problem is news.
	Complete, Restated bool
	// Problem says why the list cannot be made: what is recorded stays in force.
	Problem *events.SyncProblem
	// Optional resources may be missing without harm: nothing waits for them.
	Optional bool
}

// Changes are what happened since the last ones. What others refer to stands
// first in Applied and last in Deleted.
type Changes struct {
	// Since is when the first of them was heard of; zero for just now.
	Since   time.Time
	Applied []Object
	// Deleted objects were seen to be deleted. Vanished ones were only found to be
	// missing, and may be more than anybody meant to delete.
	Deleted, Vanished []Deletion
	Lists             []List
	// Recorded is called when all of this is recorded; nil for nothing to do.
	Recorded func()
}

// Package history answers what was, from the log alone.
//
//	T ──At──► version ──State──► what was published then
//	EVENTS ──Entries──► what changed, and by SNAPSHOTS what that did to routing
//
// The past is what was published, never what this build would make of it
// (invariant 3). It promises to change nothing in the log, and to say so where the
// log does not reach back far enough. It claims a cause only where a version
// names it. Read history.go first, then point.go and entry.go.
package history

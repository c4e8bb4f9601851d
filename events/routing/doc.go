// Package routing holds what the projector publishes and everyone else reads:
// versions of the routing, as deltas of named Envoy resources per Gateway, and
// the verdicts from which conditions are made.
//
//	projector ──Snapshot──► SNAPSHOTS ──► xds-server (resources), status-writer (verdicts), CLI (both)
//
// A [Snapshot] is a delta against the version before it; [State] is the sum of
// all deltas, and its digests say whether two readers hold the same. The
// package promises that Apply refuses a delta that does not follow or whose
// digest does not come out, so that a state is never half one version.
//
// Read snapshot.go first, then state.go and verdict.go.
package routing

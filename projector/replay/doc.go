// Package replay drives fold, route and envoy over a run of events and says, at
// any point, what has to be published.
//
//	events ──Fold──► (state, dirty keys) ──Project──► Snapshot: the delta to publish
//
// The projector service, the command line and the tests use the same [Engine],
// so that what is verified is what runs. It promises that the snapshots it gives
// add up: after the last one the content is a function of the state alone,
// whatever the batches were; and that nothing is projected before every required
// resource is synced. An Engine does no input or output; [Verify] reads a log.
//
// Read engine.go first.
package replay

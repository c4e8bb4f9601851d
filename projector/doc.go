// Package projector folds EVENTS into routing and publishes it as versions. It
// is the only writer of SNAPSHOTS.
//
//	EVENTS ──► replay.Engine: fold ─► route ─► envoy ──► Snapshot ──fenced append──► SNAPSHOTS
//	   ▲                                                                │
//	checkpoint of the fold (object store)          checkpoint of the whole version (object store)
//
// It promises that nothing is published whose cause is not in the log, that a
// restart publishes nothing that is already so, and that batching is adaptive:
// nothing waits when idle, and under load everything pending is folded in one
// step.
//
// Crash story: a version is one atomic append. If the projector dies before it,
// the next one folds the same events and publishes the same content; if after,
// the next one finds it published and publishes the difference, which is none.
//
// Read service.go first, then replay.
package projector

// Package ingest turns what happens to configuration into events, and is the
// only writer of EVENTS, ENDPOINTS and ACTORS.
//
//	directory of manifests ──manifests──► objects in force ──record──► fenced appends
//	                                           ▲                           │
//	                          index: what is recorded, folded from the log ◄┘
//
// Beside that an admission webhook may see who asks for changes (see actors.go).
//
// It promises that only real changes are recorded, each once, under one epoch at
// a time; that every listing is bracketed by sync.started and sync.completed;
// that uid, resourceVersion, generation and creationTimestamp of a manifest are
// given out as the API server would, and are durable; and that a manifest which
// the API server would refuse leaves the last good version in force. It refuses
// to record a private key in clear, and Secrets that nothing refers to.
//
// Crash story: an object is either in the log, and then found there on start, or
// it is not, and then the listing on start records the difference.
//
// Retention story: what still exists outlives the messages that said so. The index
// is stored after each list, hourly and at the end; the EndpointSlices are recorded
// again daily as baselines (see upkeep.go). Where events were lost all the same, all
// that exists is recorded again under the identity it has.
//
// Read service.go first, then follow.go, upkeep.go and internal/record.
package ingest

// Package ingest turns what happens to configuration into events, and is the
// only writer of EVENTS and ENDPOINTS.
//
//	directory of manifests ──manifests──► objects in force ──record──► fenced appends
//	                                           ▲                           │
//	                          index: what is recorded, folded from the log ◄┘
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
// Read service.go first, then internal/record.
package ingest

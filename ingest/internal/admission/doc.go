// Package admission sees who asks the API server for a change.
//
//	AdmissionReview ──Reviewer──► actor.observed ──queue──► Recorder ──► ACTORS
//	        └──► allowed
//
// It serves a validating admission webhook that has no say: it promises to allow
// everything, and to answer without waiting for the log, which is written to beside it
// through a queue of bounded length. What is seen and finds no room there is dropped
// and counted. It keeps nothing of an object but its name, its uid and a hash of what
// is recorded of it, so that no content, and no key of a Secret, comes into ACTORS.
//
// Requests that change nothing of what is recorded (a status, the same applied again)
// are not worth keeping: no event comes of them.
//
// Read reviewer.go first (what is kept of a request), then server.go and recorder.go.
package admission

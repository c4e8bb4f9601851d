// Package events is the contract that every part of Rutter shares: what one
// message of the log looks like, where it is addressed, and how it is encoded.
//
//	Kubernetes object ──ingest──► Event ──Encode──► Message ──log──► Message ──Decode──► Event ──fold──►
//
// An [Event] is the meaning (an object was applied, a list was completed); a
// [Message] is the stored form (subject, headers, bytes). Encode and Decode are
// inverse to each other, and every event type has a frozen sample under
// testdata/ that this and every later build must read.
//
// The package promises: decode∘encode is the identity; a subject names exactly
// one object; an envelope of an unknown version is refused with [ErrEnvelope]
// and never guessed at. It refuses to know about NATS (see natslog), about
// folding (see projector/fold) and about what a snapshot holds (see routing).
//
// Read envelope.go first, then subject.go, stream.go and log.go.
package events

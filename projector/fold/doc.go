// Package fold turns the events of the log into the state that routing is
// computed from. It is pure: values in, values out.
//
//	State, Event ──Apply──► State', the keys whose meaning changed
//
// It promises that the same events in the same order give the same state, that
// an object which cannot be decoded leaves its last good version in force and
// says so (Object.Problem), and that [State.Ready] is true only while every
// required resource is synced in the present epoch: a half-read world is never
// projected (invariant 5). It refuses, with an error, an event that does not
// follow in sequence and an event type that it does not know.
//
// Read state.go first, then decode.go.
package fold

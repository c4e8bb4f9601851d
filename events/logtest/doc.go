// Package logtest is the contract of a log as a test suite. natslog (on a real
// server) and memlog both pass it, so that what is shown on memlog holds on NATS.
//
// The guarantees have names: ordered, unique (once each), resumable (from any
// sequence), complete (nothing acknowledged is missing), fenced (nothing of an
// old epoch after a new one).
//
// Read run.go first: it lists the suite.
package logtest

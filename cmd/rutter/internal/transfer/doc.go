// Package transfer carries a log, or a part of it, elsewhere.
//
//	log ──Export──► bundle ──Import──► data directory
//
// What is exported is a range of EVENTS with all that belongs to it: the states that
// it begins from, the versions that were published of it, and what the other streams
// hold of that time. It promises that no private key leaves, sealed or not, that was
// not asked for by name; that a log without its keys verifies like the one with them;
// that every message without a key arrives byte for byte under its sequence; and that
// memory is bounded by one state, not by the log. It refuses to write into a
// directory that holds anything.
//
// Read export.go first, then keyless.go, extent.go and import.go.
package transfer

// Package envoyproc runs a real Envoy as a child process.
//
//	Config ──► bootstrap file ──► envoy ──died──► back-off ──► envoy ──► …   until the context ends
//
// The package promises that no Envoy outlives the process that started it: not
// when the context ends, and on Linux not after a kill -9 of the parent either.
// A restart takes nothing from Envoy but its connections: routing comes back by
// xDS. It refuses to know what is routed: everything beyond the connection to the
// xDS server is sent by that server.
//
// Read process.go first, then bootstrap.go and find.go.
package envoyproc

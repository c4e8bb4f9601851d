// Package gwtest holds what tests of several packages need to stand for the world
// around Rutter: manifests as objects, certificates, a real HTTP backend, and a real API
// server, of which they note what is asked (Rights); and how they wait (Eventually).
//
//	YAML ──Objects──► objects      hosts ──Certificate──► PEM      StartBackend ──► an address that answers
//
// Everything is made anew for each test and gone after it: nothing is shared, and
// ports are the machine's choice. Problems fail the test at once.
//
// Read backend.go for what a backend answers.
package gwtest

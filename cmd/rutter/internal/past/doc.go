// Package past serves what was published at some version, on this machine alone: an
// incident on a laptop.
//
//	routing.State ──StandIns──► the same routing, to backends and with certificates that are here
//
// Listeners, hosts, rules and filters stay as they were published. What is not here is
// replaced: each backend by a server that answers with the backend's name, each
// certificate by a self-signed one for the same names and the same time (a bundle has
// no private keys), TLS to backends by none. It promises to reach nothing but this
// machine by routes. It refuses to guess how backends behaved.
//
// Read standin.go first, then backend.go and certificate.go.
package past

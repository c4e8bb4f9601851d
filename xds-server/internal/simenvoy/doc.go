// Package simenvoy is an Envoy for tests: a client of real delta xDS over gRPC
// that keeps what it is given and behaves as Envoy 1.40 does where that matters
// to a server.
//
//	Envoy (connection, goroutines) ──► proxy (what Envoy would do with a message)
//
// As Envoy does, it asks for clusters first, for listeners when the clusters are
// warm, for endpoints, routes, scopes and secrets as clusters and listeners name
// them; it warms a changed cluster again until endpoints arrive; it ignores a
// response of a type that it has not asked for, refuses a response as a whole
// and says so by error_detail; and after a reconnect it says which versions it
// has. It writes down every response, and each time traffic would have met
// something that was not there.
//
// Read proxy.go first, then envoy.go.
package simenvoy

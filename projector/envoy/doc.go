// Package envoy turns routing tables into the resources that Envoy is sent. It
// is pure: the same tables give the same bytes.
//
//	Tables, Change ──Resources──► Outputs: for each thing that a change touches, the resources that it is made of now
//
// An output without resources is gone, or does not exist in the layout of its
// Gateway; so whoever keeps the resources of each output and replaces them by
// what Resources returns always holds exactly what the tables say. The outputs:
//
//	listeners  all Listeners of a Gateway, one per port         listeners.go, connection.go
//	routes     the RouteConfiguration of a chain, plain layout  hosts.go
//	scope      one hostname of a chain, scoped layout; chain/*
//	           for all its wildcard hosts                       scoped.go
//	cluster    how a Service port is reached                    clusters.go, upstream.go
//	secret     a certificate, or those to trust                 secrets.go
//
// Within a virtual host both layouts share every line: routes.go turns an entry
// into Envoy routes, with the help of match.go, action.go, redirect.go, path.go,
// headers.go, mirror.go and cors.go.
//
// The package promises that what it returns passes the validation rules of the
// Envoy API; an output that does not carries the reason in Problem instead of
// resources. It refuses to decide what matches first or what refers to what:
// that is package route. Read output.go first.
package envoy

// Package endpoints turns EndpointSlices into Envoy's cluster load assignments.
//
//	EndpointSlice events ──Apply──► Table ──Take──► named assignments that changed
//
// An assignment is named <namespace>/<service>/<port name>, with "-" for an
// unnamed port, so it is a pure function of the slices of that Service and of
// nothing else: no cluster, route or Gateway is consulted.
//
// The package promises: the same slices give the same bytes, in whatever order
// they came; only assignments whose bytes differ are reported; a slice that
// cannot be read changes nothing. It refuses to do anything but compute: no
// context, clock, log or goroutine.
//
// Read table.go first, then assignment.go, which holds the rules of kube-proxy.
package endpoints

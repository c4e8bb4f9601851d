// Package store holds what the Envoys of each Gateway should run now.
//
//	versions of the routing ──Take──────────┐
//	                                        ├──► Store ──Read──► one consistent moment
//	endpoint assignments ──SetEndpoints─────┘
//
// Every change gets a revision: one number over everything. Beside the current
// resources the store keeps, per Gateway and type, the names in the order in
// which they changed, so a client needs to remember one number and is told what
// changed since; the order is bounded, and a client that is older is told so
// ([Reading.Since]) and has to compare by the versions that it holds.
//
// The package promises: a version is seen whole or not at all; a version whose
// digest does not come out changes nothing; a Gateway is not readable before its
// first complete version and before the endpoints were first complete
// (invariant 5); private keys stay sealed here, and are unsealed by [Keys] for
// the moment of sending. It knows Envoy's resource types and nothing of where
// they come from.
//
// Read store.go first, then take.go and shelf.go.
package store

// Package pki issues the certificates by which Envoys and xDS servers know each
// other.
//
//	NewAuthority ──► CA (PEM) ──Parse──► Authority ──Issue──► Pair (PEM): an xDS server's, or an Envoy's
//
// An Envoy's certificate names its Gateway (see [GatewayURI]), so that an xDS
// server can hold each Envoy to the Gateway that it was issued for. It promises
// that a pair is to be renewed long before it ends, and that a pair is only kept
// if it is still what would be issued. It refuses to reach anything: where pairs
// are kept is the caller's business.
//
// Read authority.go first.
package pki

// Package pinned reads what was published for a Gateway in a past version, so that it can
// be served again: what it needs of today, and what of it is not permitted any more.
//
//	resources as published ──Read──► Routing: certificates and references that it needs
//	Routing, references that are denied ──Resources──► resources to publish
//
// It promises that what is permitted is published byte for byte as it was, and that what
// is not answers as a backend does that cannot be resolved: 500, UNAVAILABLE to gRPC, a
// closed connection. It refuses resources that it cannot read, since it could not tell
// what they refer to. It knows no objects: whether a Secret is there, and what
// ReferenceGrants permit, package route finds out.
//
// Read routing.go first.
package pinned

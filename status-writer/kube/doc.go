// Package kube keeps the statuses of objects where the Kubernetes API has them.
//
//	watch ──► cache ──present status──► change ──► patch ──resourceVersion──► status subresource
//	            │                                                                   │
//	            └──► Changed: look at it again        ◄──── conflict: read anew ────┘
//
// What every status is at present is known from a watch, so that what is already
// so costs the API server nothing, and what somebody else changes is looked at
// again. Of each object only its identity and the bytes of its status are kept.
// A write is one JSON merge patch with the resourceVersion
// that it was made from, so it is refused, read anew and made again when anybody
// else wrote meanwhile: no update is lost, neither ours nor theirs.
//
// The lists of a status are replaced as a whole by such a patch. What in them is
// not ours is put into the patch byte for byte as it was read, also the fields
// that this build does not know (graft.go).
//
// The package promises that it writes no object that another UID has, none of
// which nothing differs, and nothing of Gateways and classes that have no verdict;
// that a kind that may not be read holds up no other; and that a parent's first
// refusal of a route, and a new warning of a listener, becomes a Kubernetes Event. It refuses to decide what a status
// says.
//
// Read kube.go first, then cache.go and graft.go.
package kube

// Package kube follows a Kubernetes API server.
//
//	            ┌ follower of gateways ───┐ one goroutine for each kind: list, then watch
//	API server ─┼ follower of services ───┼─► messages ─► Reader.Next ─► observed.Changes
//	            └ … ──────────────────────┘
//	  definitions ──► served: which kinds there are, in which version
//	  Gateways ──► references: which Secrets are wanted; they are fetched one by one
//
// The package promises:
//
//   - A list is complete only when the API server said so, and is a consistent one
//     (of the state at or after the request). A kind that may not be listed, or that
//     is not installed, is a problem and never an empty list.
//   - Deletions that only a list tells of are handed on as vanished, after the same
//     cluster has answered 404 to a GET of each.
//   - A watch that broke goes on where it ended, and where that has expired, the kind
//     is listed again. When resourceVersions go backwards, [ErrBack] ends all.
//   - Of Secrets and definitions only the metadata is watched. Secrets that nothing
//     refers to are never read.
//   - Objects come as they are stored, unknown fields included, as version v1.
//
// It refuses to write anything to the API server, to keep objects in memory, and
// to read another cluster than the one it was opened on.
//
// Read reader.go first (what comes out), then follower.go and list.go (how a kind
// is followed), and vanished.go.
package kube

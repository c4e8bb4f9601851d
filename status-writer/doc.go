// Package statuswriter writes what the system found out back onto the objects:
// their conditions.
//
//	SNAPSHOTS ──verdicts──┐
//	                      ├──► dirty keys ──conditions.Of──► Applier ──► API server, or files
//	RECEIPTS ───fleets────┘         ▲                           │
//	                                └────────── retry ──────────┘
//
// It starts from the newest version and never writes what an older one said. A
// verdict that changed costs that one object; an Envoy fleet that moved on costs
// only the objects that waited for just that (fleet.go). Everything that is
// pending is written in one go, each object once, with its latest status; what
// is already so is not written. What could not be written is tried again, for
// ever, with growing pauses.
//
// The receipts say which Envoys are connected. The last one of each xDS server
// counts; a server that has been silent for longer than Config.Silence is taken
// for gone, with its Envoys, because one that crashed says nothing any more. So
// servers have to repeat their receipts well within that time.
//
// The package refuses to decide what a status says: that is conditions. Read
// service.go first, then fleet.go.
package statuswriter

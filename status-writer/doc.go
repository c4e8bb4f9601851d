// Package statuswriter writes what the system found out back onto the objects:
// their conditions.
//
//	SNAPSHOTS ──verdicts──┐
//	                      ├──► queue ──conditions.Of──► Applier ──► API server, or files
//	RECEIPTS ───fleets────┤      ▲                        │  │
//	heartbeats ───────────┘      ├─── hold, pace, retry ──┘  │
//	                             └─── somebody wrote ────────┘
//
// It starts from the newest version and never writes what an older one said. A
// verdict that changed costs that one object; an Envoy fleet that moved on costs
// only the objects that waited for just that (fleet.go). What is pending is
// written side by side, each object once, with its latest status; what is already
// so is not written. A first write waits a moment for connected Envoys, one that
// follows on others is paced, and one that failed is tried again, for ever, with
// growing pauses (queue.go).
//
// The receipts say which Envoys are connected. The last one of each xDS server
// counts; servers repeat it in heartbeats, which a service that starts learns the
// picture from. One that has been silent for longer than Config.Silence is taken
// for gone, with its Envoys, because one that crashed says nothing any more.
//
// The package refuses to decide what a status says: that is conditions. Read
// service.go first, then queue.go and fleet.go.
package statuswriter

// Package xdsserver serves named bytes to Envoys over delta xDS. It knows
// nothing of the Gateway API: versions come from SNAPSHOTS, where they were made,
// endpoints from ENDPOINTS, and what Envoys say goes to RECEIPTS.
//
//	SNAPSHOTS ──versions──────────────► internal/store ◄──────────── internal/disk (at start)
//	ENDPOINTS ──internal/endpoints────►      │   └─────────────────► internal/disk (now and then)
//	                                   internal/serve ◄──delta xDS──► Envoy
//	                                         │
//	RECEIPTS, heartbeats ◄──internal/receipts┘
//
// The package promises: an Envoy sees a version whole or not at all, in an order
// that fails no request; it is sent nothing that it has, whichever replica it
// meets; private keys are in clear only on the wire; and serving waits for no
// log: with the log gone a server goes on, also after its own restart
// (invariants 5, 6, 8, 9 and 12).
//
// Read service.go first, then internal/serve.
package xdsserver

// Package standalone is the whole of Rutter in one process, on an embedded NATS
// server: a directory of manifests goes in, real Envoys serve it.
//
//	DIR ──ingest──► EVENTS, ENDPOINTS ──projector──► SNAPSHOTS ──xds-server──► Envoy, one per Gateway
//	                                                     └──────status-writer──► DATA/status/…
//
// It only wires the services together, starts the Envoys and tells the user what
// happens. Everything of value is in the data directory, and every part can be
// killed at any moment: the next start goes on from there.
//
// Read run.go first, then fleet.go (the Envoys) and screen.go (what is
// printed, of what view.go has seen).
package standalone

// Package memlog is the log of package events in memory.
//
//	Append ──► stream (a slice, one mutex) ──► Reader (woken by a closed channel)
//
// It promises what natslog promises, and passes the same suite: order, fences,
// leases, retention, gaps, limits. It needs no network and takes the time from
// package time only, so that whole services run on it inside a testing/synctest
// bubble. It refuses to outlive the process.
//
// What readers hand out is shared between them and must not be changed.
//
// Read stream.go first, then writer.go.
package memlog

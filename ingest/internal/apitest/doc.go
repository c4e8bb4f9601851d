// Package apitest is an API server that can be told to misbehave: a real HTTP
// server that speaks list, watch, watch-list and get as kube-apiserver does, for
// the stories that a real one cannot be made to tell on demand.
//
//	test ──Apply, Delete──► Server ──list, watch──► real client-go
//	     ──Forbid, Expire, Hide, Down, Restore …──►
//
// It promises what clients build upon: one sequence of resourceVersions, a watch
// that misses nothing or says 410, a list of one state. It refuses to validate or
// default objects, and it does not answer writes over HTTP.
//
// Read server.go first, then watch.go and faults.go.
package apitest

// Package bench measures Rutter in a cluster, as separate processes that the chart
// installs, with a real API server and a real Envoy.
//
//	cluster ──► CRDs ──► chart ──► Gateway, backend
//	   ├─► 1,000 routes at once         how long until their status is right, with how many writes
//	   ├─► one more route, 250 times    how long until it answers, and that nothing but 404 and 200 did
//	   └─► 3,000 routes                 how much memory each role has
//	cluster ──► chart ──► no ingest ──► 10,000 routes ──► ingest      how long until they are recorded
//	cluster ──► 2,500 ListenerSets with 16 routes each ──► chart      how long until Envoy has acknowledged all
//
// Every route has a hostname and a Service of its own, the objects are padded to the
// size that real ones have, and the clients of the API server are not throttled.
//
// What it promises is that a figure is never bought with a wrong answer: any answer but
// 404 before a route is served and 200 afterwards is counted and makes the run fail. A
// missed target does not, because a busy machine misses it too.
//
// Read bench.go first, then one of status.go, latency.go, memory.go, list.go and sets.go.
package bench

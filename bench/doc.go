// Package bench measures the whole of Rutter from outside, as one process on this
// machine: how long from saving a manifest until a request is served by it, and
// how much of that passes before Envoy is told, with how much memory.
//
//	make bench                     everything (about 16 minutes on 2 cores)
//	RUTTER_BENCH_ROUTES=1000 …     only that many routes
//
// What is compared is measured in one run, interleaved; figures are medians. The
// results that docs/benchmarks.md shows name the machine that they came from.
//
// Read latency_test.go first, then world.go.
package bench

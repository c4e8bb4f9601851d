// Package golden runs tests that are written as txtar archives, one story each.
//
//	testdata/*.txtar ──Run──► Archive ──the test's function──► Expect ──► pass, or a diff
//
// An archive opens with a sentence of intent; its sections are what goes in and
// what must come out:
//
//	The older of two routes for one host wins.
//
//	-- objects.yaml --
//	...
//	-- routing --
//	...
//
// The test's function decides which sections are which: it reads the first with
// [Archive.Input] and claims the others with [Archive.Expect]. `go test -update`
// rewrites the sections that were expected and nothing else.
//
// The package promises that a story passes only if every section in it was
// either read or compared, byte for byte. It refuses an archive without intent,
// one longer than [MaxLines], and output that an archive cannot hold.
//
// Read archive.go first.
package golden

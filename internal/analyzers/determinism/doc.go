// Package determinism checks that the packages which decide (the pure middle)
// give the same bytes for the same log: a rule that review alone does not keep.
//
//	source of a pure package ──Analyzer──► diagnostics, none of which is acceptable
//
// It finds direct imports of packages that reach the world or the scheduler,
// calls whose result depends on clock, zone or process, goroutines and selects,
// package variables that can change, and loops over a map in whose body the
// order of iteration can matter (see maprange.go for what is recognised as
// harmless). A loop that is harmless for a reason the check cannot see says so:
//
//	//determinism: addition is commutative
//	for _, member := range set { ... }
//
// Only loops can be excused, and only with a reason. The check looks at one
// package at a time: it promises nothing about what an imported package or a
// function called in an expression does, about state reached through a second
// name (alias := table), about a type parameter that is a map, or about a
// comparison function that leaves ties.
//
// Read analyzer.go first.
package determinism

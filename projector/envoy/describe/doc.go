// Package describe turns published Envoy resources back into routing as people
// speak of it.
//
//	resources of one Gateway ──Of──► Gateway: listeners, hosts, rules ──Diff──► what differs, in words
//
// What it reads is what was published, so what it says is what Envoy was told,
// not what a table in memory meant. It undoes what package envoy does: the
// Envoy routes that one entry became are one [Rule] again, and the plain and the
// scoped layout of the same routing have the same description.
//
// The package promises to be pure and deterministic. It refuses resources that
// are not of the Envoy API, and it does not describe endpoints. Read
// gateway.go first, then rule.go and diff.go.
package describe

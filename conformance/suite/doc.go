// Package suite runs the official conformance suite of the Gateway API against what
// the Helm chart renders.
//
//	cluster ──► CRDs of a channel ──► chart ──► the suite ──► report, compared with reports/
//
// `make conformance` runs it, with the flags of the suite in ARGS; `-channel` chooses
// the CRDs, `-update` accepts the report. What is not claimed is in features.go, each
// with a reason; everything else that the suite can ask for is asked for.
//
// It is a module of its own, because it needs one that is laid out by the Makefile.
package suite

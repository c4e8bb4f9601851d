// Package faults holds tests of what happens when something fails, in a cluster with
// what the chart installs: each role is a process of its own, and so is everything that
// it depends on.
//
//	cluster ──► chart ──► for each test: a namespace, a Gateway, traffic ──► a fault ──► what was answered, and what is said
//
// What a fault may do to traffic is nothing, unless a test says otherwise; what it does
// to configuration ends by itself, or by what docs/operations.md says. All tests share
// one cluster, and one that fails leaves its namespace behind for the logs. None runs
// beside another one, for what they break is shared too.
//
// There is nothing but tests; read rig_test.go first.
package faults

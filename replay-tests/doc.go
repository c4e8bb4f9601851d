// Package replaytests holds recorded histories of real kinds of incident against this
// build: old bytes must replay on new code for ever.
//
//	histories/NAME/record.txtar ──TestRecord──► bundle.rutter, moments      once, from a running system
//	bundle.rutter ──refold──► what was published                            TestHistories, in every `make test`
//	bundle.rutter ──the commands of expect.txtar──► their output            the same
//	bundle.rutter + a line of code that is disabled ──► red                 TestMutants, `make replay-mutants`
//
// Each history has a WHY.md: what happened, what it cost, what to look at. A bundle is
// never rewritten because the code gives another outcome: that is what it is there to
// find. A wanted change of outcome raises the fold version, and then a history says
// what the upgrade changes.
//
// Nothing imports this package. Read histories_test.go first, then recorder_test.go.
package replaytests

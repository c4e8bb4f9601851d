// Package patience waits in tests for what a cluster does in its own time.
package patience

import (
	"testing"
	"time"
)

// limit is how long anything may take, on a machine that has other work.
const limit = 90 * time.Second

// Await waits until check returns nil, and fails the test when it never does. It is
// called from the goroutine of the test.
func Await(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

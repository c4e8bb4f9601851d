package gwtest

import (
	"testing"
	"time"
)

// patience is how long anything may take in a test, on a machine that has other work.
const patience = time.Minute

// Eventually waits until check returns nil. It is called from the goroutine of the test.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
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

package gwtest

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// told is a test that a failure does not end.
type told struct {
	testing.TB
	errors []string
}

func (*told) Helper() {}

func (c *told) Errorf(format string, _ ...any) { c.errors = append(c.errors, format) }

func TestALoadTellsWhatFailedWhileSomethingWasDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		l := NewLoad(t)
		l.Add("web", func() error {
			if broken.Load() {
				return errors.New("no answer")
			}
			return nil
		})
		wait := func() { <-time.After(10 * pace) }
		within := func(do func()) []string {
			c := &told{TB: t}
			_ = l.During(c, do)
			return c.errors
		}
		wait()
		if got := within(wait); len(got) != 0 {
			t.Errorf("nothing failed, and it says %q", got)
		}
		if got := within(func() { broken.Store(true); wait(); broken.Store(false) }); len(got) != 1 || !strings.Contains(got[0], "requests failed") {
			t.Errorf("requests failed, and it says %q", got)
		}
		wait()
		if got := within(wait); len(got) != 0 {
			t.Errorf("what failed before is told as %q", got)
		}
		if got := within(func() {}); len(got) != 1 || !strings.Contains(got[0], "nothing was asked") {
			t.Errorf("nobody asked, and it says %q", got)
		}
	})
}

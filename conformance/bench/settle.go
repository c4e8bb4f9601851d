package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// Nothing is going on while all roles together take less than a tenth of a
	// processor, in each of three looks.
	look   = 500 * time.Millisecond
	looks  = 3
	little = look / 10
	tick   = 10 * time.Millisecond // the unit of /proc/PID/stat
)

// settle waits until what was made before has come to its end: statuses are written,
// versions are acknowledged.
func (w *world) settle(ctx context.Context) error {
	last, err := w.busy()
	if err != nil {
		return err
	}
	for deadline, calm := time.Now().Add(patience), 0; calm < looks; {
		if time.Now().After(deadline) {
			return fmt.Errorf("the system does not come to rest within %v", patience)
		}
		if err := wait(ctx, look); err != nil {
			return err
		}
		now, err := w.busy()
		if err != nil {
			return err
		}
		if calm++; now-last > little {
			calm = 0
		}
		last = now
	}
	return nil
}

// busy is how much processor time all roles have taken so far.
func (w *world) busy() (time.Duration, error) {
	var total time.Duration
	for _, pids := range w.roles() {
		for _, pid := range pids {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				return 0, err
			}
			_, rest, _ := strings.Cut(string(text), ") ")
			fields := strings.Fields(rest)
			if len(fields) < 13 {
				return 0, fmt.Errorf("the times of process %d: %q", pid, text)
			}
			var user, system int
			if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
				return 0, fmt.Errorf("the times of process %d: %w", pid, err)
			}
			total += time.Duration(user+system) * tick
		}
	}
	return total, nil
}

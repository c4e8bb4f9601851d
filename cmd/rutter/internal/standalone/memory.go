package standalone

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// gcPercent is the garbage collector's target: memory counts for more here than
// collections. They cost a fifth of what starting up takes, and next to nothing from
// then on.
const gcPercent = 30

const (
	// calm is how long little must have been allocated for the process to count as
	// idle, and little is that, in bytes.
	calm   = 15 * time.Second
	little = 4 << 20
	// much is after how many allocated bytes it is worth the while to collect.
	much = 16 << 20
)

// keepMemory lets the process be no larger than it has to be, until ctx ends: what
// starting up, a checkpoint or a burst of changes took is given back when it is
// over. By itself the runtime would hold on to it for minutes.
func keepMemory(ctx context.Context) error {
	ticker := time.NewTicker(calm)
	defer ticker.Stop()
	var seen, settled uint64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := allocated()
		if now-seen < little && now-settled > much {
			giveBack()
			settled = now
		}
		seen = now
	}
}

// aim sets the target, which GOGC overrules.
func aim() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// giveBack returns to the system what is not in use.
func giveBack() {
	runtime.GC() // pools let go in the second collection
	debug.FreeOSMemory()
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

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
// collections, which cost a tenth of what starting up takes and next to nothing from
// then on.
const gcPercent = 50

const (
	// calm is how long little must have been allocated for the process to count as
	// idle, and little is that, in bytes.
	calm   = 5 * time.Second
	little = 2 << 20
	// much is after how many allocated bytes it is worth the while to collect.
	much = 16 << 20
)

// keepMemory lets the process be no larger than it has to be, until ctx ends: what
// starting up, a checkpoint or a burst of changes took is given back when it is
// over. By itself the runtime would hold on to it for minutes. GOGC overrules the
// target.
func keepMemory(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
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
			runtime.GC() // pools let go in the second collection
			debug.FreeOSMemory()
			settled = now
		}
		seen = now
	}
}

// allocated is how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

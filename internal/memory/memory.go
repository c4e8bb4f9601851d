// Package memory lets a process be no larger than it has to be.
//
// What starting up, a checkpoint or a burst of changes took is given back when it is
// over; by itself the runtime would hold on to it for minutes. And garbage is collected
// by its amount, not in proportion to what is in use. GOGC overrules that.
package memory

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	leastPercent = 10
	mostPercent  = 100

	// A process that allocated little, in bytes, in each of so many looks is idle. The
	// server of the log keeps what was read for 10 s.
	look   = time.Second
	looks  = 12
	little = 256 << 10
	// much is after how many allocated bytes it is worth the while to collect.
	much = 16 << 20
)

// Keep does so until ctx ends. slack is how much garbage, in bytes, is worth a
// collection, as long as that is between leastPercent and mostPercent of what is in use.
// A proportion alone would collect all the time while little is in use, as when
// manifests are validated, and hardly ever when much is.
func Keep(ctx context.Context, slack uint64) {
	_, fixed := os.LookupEnv("GOGC")
	percent := 0
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	var seen, settled uint64
	for quiet := 0; ; {
		if next := percentOf(read("/gc/heap/live:bytes"), slack); next != percent && !fixed {
			percent = next
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := read("/gc/heap/allocs:bytes")
		if quiet++; now-seen > little {
			quiet = 0
		}
		if seen = now; quiet >= looks && now-settled > much {
			GiveBack()
			settled = read("/gc/heap/allocs:bytes")
		}
	}
}

// percentOf is the target of the collector while so many bytes are in use, in steps
// of five.
func percentOf(live, slack uint64) int {
	return int(min(max(slack*100/max(live, 1), leastPercent), mostPercent)) / 5 * 5
}

// Spend lets a command that ends by itself be larger, and faster for it: garbage is
// collected when there is three times as much as is in use.
func Spend() {
	if _, fixed := os.LookupEnv("GOGC"); !fixed {
		debug.SetGCPercent(300)
	}
}

// GiveBack returns to the system what is not in use.
func GiveBack() {
	runtime.GC() // pools let go in the second collection
	debug.FreeOSMemory()
}

// read is a metric of the runtime that counts bytes.
func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

package standalone

import (
	"os"
	"runtime/debug"
)

// steadyGC is the garbage collector's target from when everything is served: from
// there on little is allocated, and memory counts for more than a few collections.
// Until then the default is used, since starting up allocates most of all.
const steadyGC = 50

// settleMemory gives back what starting up took. GOGC overrules it.
func settleMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(steadyGC)
	}
	debug.FreeOSMemory()
}

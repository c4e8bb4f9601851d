package provisioner

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// pauses are until when Gateways are not built again. After what vanished once there is
// none; but when the garbage collector knows that a Gateway is gone and the log does not,
// because nobody records, all is taken away as fast as it is built: load balancers, too.
type pauses struct {
	mu sync.Mutex
	of map[types.NamespacedName]pause
}

type pause struct {
	wait time.Duration // from the last time that something vanished
	ends time.Time
}

func newPauses() *pauses { return &pauses{of: map[types.NamespacedName]pause{}} }

// vanished begins a pause, which is twice as long as the last one if that is not long
// ago. What vanishes during a pause is built after it.
func (p *pauses) vanished(g types.NamespacedName, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.of[g]
	switch {
	case !known || now.Sub(last.ends) > lastRetry:
		p.of[g] = pause{ends: now}
	case !now.Before(last.ends):
		wait := min(max(2*last.wait, firstRetry), lastRetry)
		p.of[g] = pause{wait: wait, ends: now.Add(wait)}
	}
}

// left is how much of the pause is left.
func (p *pauses) left(g types.NamespacedName, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.of[g].ends.Sub(now), 0)
}

// forget is for a Gateway of which nothing is built any more.
func (p *pauses) forget(g types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, g)
}

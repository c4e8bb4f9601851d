package xdsserver

import (
	"context"
	"sync"
	"time"
)

// copyPatience is how long a server that has a local copy waits for the log before
// it serves the copy: what is in it is older than what the Envoys have, so serving
// it would take that back for the moment until the log is read.
const copyPatience = 2 * time.Second

// progress tells when both streams were read to where they ended at the start.
type progress struct {
	mu      sync.Mutex
	missing map[string]bool
	done    chan struct{}
}

func newProgress(streams ...string) *progress {
	p := &progress{missing: map[string]bool{}, done: make(chan struct{})}
	for _, s := range streams {
		p.missing[s] = true
	}
	return p
}

// reached says that a stream was read that far. It may be said again.
func (p *progress) reached(stream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.missing[stream] {
		return
	}
	delete(p.missing, stream)
	if len(p.missing) == 0 {
		close(p.done)
	}
}

// wait returns when all is reached, or patience or ctx ends.
func (p *progress) wait(ctx context.Context, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

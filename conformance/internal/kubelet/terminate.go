package kubelet

import (
	"context"
	"syscall"
	"time"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

const (
	// afterHook is what a program gets at least, when its hook took all the time.
	afterHook = 2 * time.Second
	// graceStep is how often the time that is left is looked at, as it may be shortened.
	graceStep = 50 * time.Millisecond
)

// terminate ends a process: first its preStop hook, then SIGTERM, and SIGKILL when the
// time is over. It returns when the process is gone.
func (c *container) terminate(ctx context.Context, process *sandbox.Container, spec *sandbox.Spec, remaining func() time.Duration) {
	if lifecycle := c.spec.Lifecycle; lifecycle != nil && lifecycle.PreStop != nil && remaining() > 0 {
		hook, cancel := context.WithTimeout(ctx, remaining())
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer cancel()
			if err := c.handle(hook, process, spec, lifecycle.PreStop); err != nil {
				c.logger.Info("preStop hook did not work", "error", err)
			}
		}()
		select {
		case <-done:
		case <-process.Done():
		case <-c.worker.killing:
		}
		cancel()
		<-done
		if rest := remaining(); rest < afterHook && !c.isKilled() {
			end := time.Now().Add(afterHook)
			remaining = func() time.Duration { return time.Until(end) }
		}
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		c.logger.Warn("container not asked to end", "error", err)
	}
	for remaining() > 0 {
		select {
		case <-process.Done():
			return
		case <-c.worker.killing:
			c.killProcess(process)
			return
		case <-time.After(min(graceStep, max(remaining(), 0))):
		}
	}
	c.killProcess(process)
}

func (c *container) isKilled() bool {
	select {
	case <-c.worker.killing:
		return true
	default:
		return false
	}
}

func (c *container) killProcess(process *sandbox.Container) {
	if err := process.Signal(syscall.SIGKILL); err != nil {
		c.logger.Warn("container not killed", "error", err)
	}
	<-process.Done()
}

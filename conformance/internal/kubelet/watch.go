package kubelet

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

// watch runs the hook and the probes of a running container, until ctx or the process
// ends. When the container must be started again, it says why.
func (c *container) watch(ctx context.Context, spec *sandbox.Spec, process *sandbox.Container, unhealthy chan<- string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	name := c.spec.Name
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		select {
		case <-ctx.Done():
		case <-process.Done():
			cancel()
		}
	})
	fail := func(reason string) {
		select {
		case unhealthy <- reason:
		default: // it was said
		}
	}
	if lifecycle := c.spec.Lifecycle; lifecycle != nil && lifecycle.PostStart != nil {
		if err := c.handle(ctx, process, spec, lifecycle.PostStart); err != nil && ctx.Err() == nil {
			fail(fmt.Sprintf("postStart hook: %v", err))
			return
		}
	}
	check := func(ctx context.Context, probe *corev1.Probe) error {
		return c.check(ctx, process, spec, &probe.ProbeHandler)
	}
	if probe := c.spec.StartupProbe; probe != nil {
		started := false
		watchProbe(ctx, probe, patient, check, func(success bool, err error) (more bool) {
			if !success {
				fail(fmt.Sprintf("startup probe: %v", err))
			}
			started = success
			return false
		})
		if !started {
			<-ctx.Done()
			return
		}
	}
	c.states.change(name, func(o *observation) { o.started, o.ready = true, c.spec.ReadinessProbe == nil })
	if probe := c.spec.LivenessProbe; probe != nil {
		watching.Go(func() {
			watchProbe(ctx, probe, patient, check, func(success bool, err error) (more bool) {
				if !success {
					fail(fmt.Sprintf("liveness probe: %v", err))
				}
				return success
			})
		})
	}
	if probe := c.spec.ReadinessProbe; probe != nil {
		watching.Go(func() {
			watchProbe(ctx, probe, eager, check, func(success bool, _ error) (more bool) {
				c.states.change(name, func(o *observation) { o.ready = success })
				return true
			})
		})
	}
	<-ctx.Done()
}

// watchProbe probes until ctx ends or turned says that it is enough. turned is called
// whenever the verdict changes: after as many results of one kind in a row as the
// probe's thresholds say.
func watchProbe(ctx context.Context, probe *corev1.Probe, next pace, check func(context.Context, *corev1.Probe) error, turned func(success bool, err error) (more bool)) {
	if !pause(ctx, time.Duration(probe.InitialDelaySeconds)*time.Second) {
		return
	}
	period := time.Duration(max(probe.PeriodSeconds, 1)) * time.Second
	limit := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	verdict := unknown
	for row, last := int32(0), unknown; ; {
		attempt, cancel := context.WithTimeout(ctx, limit)
		err := check(attempt, probe)
		cancel()
		if ctx.Err() != nil {
			return
		}
		result, threshold := succeeded, max(probe.SuccessThreshold, 1)
		if err != nil {
			result, threshold = failed, max(probe.FailureThreshold, 1)
		}
		if result != last {
			row, last = 0, result
		}
		if row++; row >= threshold && result != verdict {
			verdict = result
			if !turned(result == succeeded, err) {
				return
			}
		}
		if !pause(ctx, next(period, verdict)) {
			return
		}
	}
}

type verdict int

const (
	unknown verdict = iota
	succeeded
	failed
)

// pace is the wait before the next probe.
type pace func(period time.Duration, so verdict) time.Duration

// patient is for probes whose failures are counted.
func patient(period time.Duration, _ verdict) time.Duration { return period }

// eager looks more often than was asked for while a container is not ready, which no
// program minds, so that waiting for one takes no longer than it does.
func eager(period time.Duration, so verdict) time.Duration {
	if so == succeeded {
		return period
	}
	return min(period, eagerPeriod)
}

const eagerPeriod = 100 * time.Millisecond

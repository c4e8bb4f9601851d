package kubelet

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

// container runs one container of a pod, again and again if its policy says so.
type container struct {
	worker *worker
	pod    *corev1.Pod
	spec   *corev1.Container
	policy corev1.RestartPolicy
	ending <-chan struct{} // closed when it is to end
	states *states
	logger *slog.Logger

	restarts int32

	mu      sync.Mutex
	process *sandbox.Container // nil when none runs
	log     *logFile           // of the present run, or the last one
}

// run returns when the container has ended for good.
func (c *container) run(ctx context.Context) {
	name := c.spec.Name
	for wait := time.Duration(0); ; {
		begin := time.Now()
		how, err := c.once(ctx)
		if err != nil {
			// Something is not there that may come: it is looked for again.
			c.states.waiting(name, "CreateContainerConfigError", err.Error())
			if !c.pause(retryWait) {
				c.states.terminated(name, neverRan(err))
				return
			}
			continue
		}
		c.states.terminated(name, how)
		if c.isEnding() || c.policy == corev1.RestartPolicyNever || (c.policy == corev1.RestartPolicyOnFailure && how.ExitCode == 0) {
			return
		}
		if time.Since(begin) > stableAfter {
			wait = 0
		}
		c.logger.Info("container ended and is started again", "error", how.Reason)
		if wait > 0 {
			c.states.again(name, "CrashLoopBackOff", "waiting "+wait.String())
			if !c.pause(wait) {
				c.states.terminated(name, how)
				return
			}
		} else {
			c.states.again(name, "Restarting", "")
		}
		c.restarts++
		wait = min(max(2*wait, restartWait), maxRestartWait)
	}
}

// neverRan is how a container ended that could not be started at all.
func neverRan(err error) corev1.ContainerStateTerminated {
	now := metav1.Now().Rfc3339Copy()
	return corev1.ContainerStateTerminated{ExitCode: 128, Reason: "ContainerStatusUnknown", Message: err.Error(), StartedAt: now, FinishedAt: now}
}

func (c *container) isEnding() bool {
	select {
	case <-c.ending:
		return true
	default:
		return false
	}
}

func (c *container) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-c.ending:
		return false
	case <-timer.C:
		return true
	}
}

// once runs the container one time, and returns how it ended, or why it could not be
// started.
func (c *container) once(ctx context.Context) (how corev1.ContainerStateTerminated, err error) {
	if c.isEnding() {
		return how, errors.New("the pod ended before")
	}
	spec, err := c.sandboxSpec()
	if err != nil {
		return how, err
	}
	log, err := newLogFile(c.worker.kubelet.logPath(c.pod, c.spec.Name, c.restarts), time.Now)
	if err != nil {
		return how, err
	}
	defer log.Close()
	var process *sandbox.Container
	if err := c.worker.network.Do(func() (err error) {
		process, err = c.worker.kubelet.cfg.Runner.Start(spec, log, log)
		return err
	}); err != nil {
		return how, err
	}
	started := metav1.Now().Rfc3339Copy()
	c.setRunning(process, log)
	defer c.setRunning(nil, log)
	c.states.running(c.spec.Name, started, c.restarts)

	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	unhealthy := make(chan string, 1)
	watching.Go(func() { c.watch(watched, spec, process, unhealthy) })
	reason := ""
	select {
	case <-process.Done():
	case <-c.ending:
		c.terminate(ctx, process, spec, c.remaining)
	case reason = <-unhealthy:
		c.logger.Warn("container is unhealthy and is started again", "error", reason)
		deadline := time.Now().Add(gracePeriod(c.pod))
		c.terminate(ctx, process, spec, func() time.Duration { return time.Until(deadline) })
	}
	stop()
	watching.Wait()
	log.Close() // lines without an end are stored before the container is called ended
	return c.end(process, log, started, reason), nil
}

// end says how a process ended.
func (c *container) end(process *sandbox.Container, log *logFile, started metav1.Time, reason string) corev1.ContainerStateTerminated {
	code, signal := process.Exit()
	how := corev1.ContainerStateTerminated{
		ExitCode: int32(code), Signal: int32(signal), Reason: "Completed",
		StartedAt: started, FinishedAt: metav1.Now().Rfc3339Copy(), ContainerID: containerID(c.pod, c.spec.Name),
	}
	if code != 0 {
		how.Reason, how.Message = "Error", reason
		if c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
			how.Message = log.lastLines()
		}
	}
	return how
}

// remaining is how long the pod may still take to end.
func (c *container) remaining() time.Duration {
	c.worker.mu.Lock()
	defer c.worker.mu.Unlock()
	return time.Until(c.worker.deadline)
}

func (c *container) setRunning(process *sandbox.Container, log *logFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process, c.log = process, log
}

// current is the process that runs, if one does, and the log of the last one.
func (c *container) current() (*sandbox.Container, *logFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process, c.log
}

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rutter-gateway/rutter/internal/memory"
)

// slack is how much garbage, in bytes, is worth a collection: one service has less of
// it than all of them in one process.
const slack = 6 << 20

// Config of one process.
type Config struct {
	Options
	// Version is that of the program.
	Version string
	// Output takes the log lines.
	Output io.Writer
	// Adopt is given the logger, for libraries that log without being given one; nil
	// leaves them as they are.
	Adopt func(*slog.Logger)
}

// Process is a running service command.
type Process struct {
	Options
	Logger *slog.Logger
	// Registry holds the metrics of this process. A service that is started again
	// with each session registers at [Session.Registerer] instead.
	Registry *prometheus.Registry

	reopened prometheus.Counter

	mu      sync.Mutex
	ready   func() error
	trouble error
	session prometheus.Gatherer
}

var (
	errStarting = errors.New("starting")
	errEnding   = errors.New("ending")
)

// Run does work, and serves health and metrics meanwhile. When ctx ends work is
// to return, whatever it returns then; an error before that ends the process.
func Run(ctx context.Context, c Config, work func(context.Context, *Process) error) error {
	if err := c.validate(); err != nil {
		return err
	}
	logger, err := c.logger(c.Output)
	if err != nil {
		return err
	}
	if c.Adopt != nil {
		c.Adopt(logger)
	}
	p := newProcess(c, logger)
	listener, err := net.Listen("tcp", c.HTTPAddress)
	if err != nil {
		return fmt.Errorf("serve health and metrics: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The server outlives the work, so that "ending" is told as long as there is
	// something to end.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	beside.Go(func() {
		if err := p.serve(serving, listener); err != nil {
			cancel(fmt.Errorf("serve health and metrics: %w", err))
		}
	})
	beside.Go(func() { memory.Keep(serving, slack) })
	context.AfterFunc(ctx, func() { p.setTrouble(errEnding) })
	logger.Info("started", "name", c.Name, "version", c.Version, "address", listener.Addr().String())
	err = work(ctx, p)
	ending := ctx.Err() != nil
	stop()
	beside.Wait()
	if ending {
		logger.Info("ended", "name", c.Name)
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return nil
	}
	if err == nil {
		return errors.New("the service ended without being asked to")
	}
	return err
}

func newProcess(c Config, logger *slog.Logger) *Process {
	p := &Process{
		Options: c.Options, Logger: logger, Registry: prometheus.NewRegistry(),
		reopened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_service_restarts_total", Help: "Times that the service of this process was started again after an error.",
		}),
		session: prometheus.NewRegistry(),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rutter_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": c.Version},
	})
	build.Set(1)
	p.Registry.MustRegister(build, p.reopened, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return p
}

// ReadyWhen says what makes this process ready: nil, or the reason why it is not.
// Until it is called the reason is "starting".
func (p *Process) ReadyWhen(ready func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = ready
}

// notReady is the reason why this process is not ready, or nil.
func (p *Process) notReady() error {
	p.mu.Lock()
	ready, trouble := p.ready, p.trouble
	p.mu.Unlock()
	switch {
	case trouble != nil:
		return trouble
	case ready == nil:
		return errStarting
	}
	return ready()
}

// setTrouble makes the process not ready for a reason, or with nil as ready as it
// says. Once it is ending it stays so.
func (p *Process) setTrouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(p.trouble, errEnding) {
		p.trouble = err
	}
}

// Stalled returns a function that is told why the service cannot go on for now,
// and with nil that it does again; the first of several alike is logged.
func (p *Process) Stalled(message string) func(error) {
	var last string
	return func(err error) {
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != "" && text != last {
			p.Logger.Error(message, "error", err) //nolint:sloglint // constant at each call of Stalled
		}
		last = text
		p.setTrouble(err)
	}
}

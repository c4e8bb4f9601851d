package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/rutter-gateway/rutter/conformance/cluster"
)

// Config says what is measured.
type Config struct {
	// Dir is where the cluster keeps its files; Bin the repository's directory of built
	// programs, Chart that of the chart.
	Dir, Bin, Chart string
	// Burst is how many routes are created at once, Samples how many more one at a
	// time, Resident how many there are when memory is measured, and Listed how many
	// ingest finds when it starts. Sets is how many ListenerSets all of Rutter finds when
	// it starts. 0 leaves a part out.
	Burst, Samples, Resident, Listed, Sets int
	// Idle is after how long without a change memory is measured once more.
	Idle time.Duration
	// Progress takes a line for each thing that begins.
	Progress io.Writer
	Logger   *slog.Logger
}

func (c *Config) validate() error {
	switch {
	case c.Dir == "" || c.Bin == "" || c.Chart == "":
		return errors.New("bench: the directories of files, programs and chart are needed")
	case c.Progress == nil || c.Logger == nil:
		return errors.New("bench: a place for progress and a logger are needed")
	case c.Burst < 0 || c.Samples < 0 || c.Resident < 0 || c.Listed < 0 || c.Sets < 0:
		return errors.New("bench: a number of routes or ListenerSets is negative")
	}
	return nil
}

// Run measures, with a cluster of its own for what has to begin with an empty log. It
// must be called below [cluster.Main].
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	report := &Report{}
	if c.Burst+c.Samples+c.Resident > 0 {
		if err := c.within(ctx, func(w *world) error { return c.serving(ctx, w, report) }); err != nil {
			return nil, err
		}
	}
	if c.Listed > 0 {
		if err := c.within(ctx, func(w *world) (err error) { report.List, err = w.firstList(ctx, c.Listed); return }); err != nil {
			return nil, err
		}
	}
	if c.Sets > 0 {
		if err := c.within(ctx, func(w *world) (err error) { report.Sets, err = w.coldStart(ctx, c.Sets); return }); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// serving is what is measured of a system that serves.
func (c *Config) serving(ctx context.Context, w *world, report *Report) (err error) {
	if err := w.install(ctx); err != nil {
		return err
	}
	if err := w.makeGateway(ctx); err != nil {
		return err
	}
	if err := w.makeBackends(ctx, max(c.Burst+c.Samples, c.Resident)); err != nil {
		return err
	}
	if c.Burst > 0 {
		if report.Status, err = w.burst(ctx, c.Burst); err != nil {
			return err
		}
	}
	if c.Samples > 0 {
		if report.Latency, err = w.oneByOne(ctx, c.Burst, c.Samples); err != nil {
			return err
		}
	}
	if c.Resident > 0 {
		report.Memory, err = w.resident(ctx, c.Burst+c.Samples, c.Resident)
	}
	return err
}

// within starts a cluster, and ends it.
func (c *Config) within(ctx context.Context, measure func(*world) error) (err error) {
	begin := time.Now()
	started, err := cluster.Start(ctx, cluster.Config{
		Dir: c.Dir, Bin: c.Bin, Images: cluster.DefaultImages(c.Bin), Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, started.Stop()) }()
	w, err := newWorld(started, c)
	if err != nil {
		return err
	}
	w.say("a cluster runs after %.1f s", time.Since(begin).Seconds())
	if err := measure(w); err != nil {
		return fmt.Errorf("%w (logs of pods and control plane: %s)", err, filepath.Clean(started.Logs))
	}
	return nil
}

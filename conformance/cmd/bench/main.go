// Bench measures Rutter in a cluster of its own, and prints what it found beside the
// targets. It fails when an answer was wrong, not when a target is missed. See the
// package bench.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/rutter-gateway/rutter/conformance/bench"
	"github.com/rutter-gateway/rutter/conformance/cluster"
)

func main() { os.Exit(cluster.Main(run)) }

func run() int {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	klog.SetSlogLogger(logger) // what client libraries have to say
	c := bench.Config{Progress: os.Stderr, Logger: logger}
	flag.StringVar(&c.Dir, "dir", ".cluster", "where the cluster keeps its files")
	flag.StringVar(&c.Bin, "bin", "../bin", "where the programs are")
	flag.StringVar(&c.Chart, "chart", "../deploy/helm/rutter", "the chart")
	flag.IntVar(&c.Burst, "burst", 1_000, "routes that are created at once")
	flag.IntVar(&c.Samples, "samples", 250, "routes that are added to them, one at a time")
	flag.IntVar(&c.Resident, "resident", 3_000, "routes that there are when memory is measured")
	flag.DurationVar(&c.Idle, "idle", 45*time.Second, "how long nothing happens before memory is measured once more")
	flag.IntVar(&c.Listed, "listed", 10_000, "routes that ingest finds when it starts")
	flag.IntVar(&c.Sets, "sets", 2_500, "ListenerSets with 16 routes each that all of Rutter finds when it starts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	wrong, err := measure(ctx, c)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
	if wrong {
		return 1
	}
	return 0
}

func measure(ctx context.Context, c bench.Config) (wrong bool, err error) {
	for _, dir := range []*string{&c.Dir, &c.Bin, &c.Chart} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return false, err
		}
	}
	report, err := bench.Run(ctx, c)
	if err != nil {
		return false, err
	}
	return report.Wrong(), report.Print(os.Stdout)
}

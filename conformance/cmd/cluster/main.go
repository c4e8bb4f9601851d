// Cluster runs a Kubernetes cluster on this machine, without a container runtime,
// until Ctrl-C:
//
//	cluster [-dir DIR] [-bin DIR] [--] [COMMAND…]
//
// With a command, that runs in the namespaces of the cluster, where pods and Services
// can be reached, with KUBECONFIG set, and the cluster ends with it. See the package
// cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/internal/isolation"
)

func main() { os.Exit(cluster.Main(run)) }

func run() int {
	dir := flag.String("dir", ".cluster", "where kubeconfig and logs are written")
	bin := flag.String("bin", "../bin", "where the programs are")
	debug := flag.Bool("debug", false, "log more")
	flag.Parse()
	level := slog.LevelWarn
	if *debug {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	klog.SetSlogLogger(logger) // what client libraries have to say
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	code, err := serve(ctx, *dir, *bin, flag.Args(), logger)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		return 1
	}
	return code
}

// serve runs the cluster, and the command in it.
func serve(ctx context.Context, dir, bin string, command []string, logger *slog.Logger) (code int, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return 0, err
	}
	outside, err := isolation.Outside()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	running, err := cluster.Start(ctx, cluster.Config{
		Dir: dir, Bin: bin, Images: cluster.DefaultImages(bin), Outside: outside, Logger: logger,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, running.Stop()) }()
	fmt.Printf("Kubernetes runs after %.1f s. Ctrl-C ends it.\n\n", time.Since(begin).Seconds())
	fmt.Printf("  export KUBECONFIG=%s\n", running.OutsideKubeconfig)
	fmt.Printf("  export PATH=%s:$PATH\n\n", filepath.Join(bin, "k8s"))
	fmt.Printf("Logs of pods and control plane: %s\n", running.Logs)
	if len(command) == 0 {
		<-ctx.Done()
		return 0, nil
	}
	return execute(ctx, command, running.Kubeconfig)
}

// execute runs a command in the cluster, and returns its exit code.
func execute(ctx context.Context, command []string, kubeconfig string) (int, error) {
	process := exec.CommandContext(ctx, command[0], command[1:]...)
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = 30 * time.Second
	process.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	process.Stdin, process.Stdout, process.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := process.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

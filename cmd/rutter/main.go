// Rutter is an event-sourced Kubernetes Gateway API controller. This is its one
// binary: the services and the commands that read the log.
//
//	main ──► newRootCommand ──► one file per subcommand: flags, wiring, printing
//
// What a command finds out is found out in internal/history and in the packages
// of the services; nothing is decided here. Read root.go first.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/klog/v2"
)

// version is set by the linker (see Makefile).
var version = "dev"

// Exit codes.
const (
	exitFine = iota
	exitFound
	exitFailed
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	code := run(ctx, environment{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now, open: openLog,
		plugin:  filepath.Base(os.Args[0]) == "kubectl-rutter",
		colours: isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "",
		adopt:   klog.SetSlogLogger,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, env environment, args []string) int {
	root := newRootCommand(&env)
	root.SetArgs(args)
	root.SetIn(env.in)
	root.SetOut(env.out)
	root.SetErr(env.err)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return exitFine
	case errors.Is(err, errFound):
		return exitFound
	default:
		fmt.Fprintf(env.err, "rutter: %v\n", err)
		return exitFailed
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

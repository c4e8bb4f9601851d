package envoyproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Config says which Envoy to run, and for whom.
type Config struct {
	// Path is the Envoy binary, see [Find].
	Path string
	// NodeID names this Envoy among those of its Gateway; Gateway is namespace/name
	// and becomes node.cluster.
	NodeID, Gateway string
	// XDS is where the xDS server listens: the path of a Unix socket (with a slash), or host:port.
	XDS string
	// TLS is how to speak with the xDS server; nil is in clear, for a socket on this machine.
	TLS *TLS
	// RunDir is an existing directory for the bootstrap file and the admin socket.
	RunDir string
	// Concurrency is the number of worker threads; 0 is one per core.
	Concurrency int
	// MaxConnections of clients; 0 is 50,000.
	MaxConnections uint32
	// MaxHeap is how much memory Envoy may allocate, in bytes: as it comes near, it refuses
	// what is new and gives up what is large. 0 is without.
	MaxHeap uint64
	// Output takes what Envoy logs (warnings and errors); nil discards it.
	Output io.Writer
	// OnExit is told when Envoy ended by itself, why, and after which wait it is
	// started again; nil is nobody.
	OnExit func(err error, wait time.Duration)
}

const (
	// firstWait doubles with each early death up to maxWait; an Envoy that lived for
	// stableAfter starts it anew.
	firstWait   = 100 * time.Millisecond
	maxWait     = 10 * time.Second
	stableAfter = 30 * time.Second
	// stopGrace is how long Envoy may take to end when asked, before it is killed.
	stopGrace = 5 * time.Second
	// maxSocketPath is what fits into a sockaddr_un, in bytes.
	maxSocketPath = 107
)

// AdminSocket is the Unix socket of Envoy's administration interface.
func (c *Config) AdminSocket() string { return filepath.Join(c.RunDir, "admin.sock") }

func (c *Config) bootstrapFile() string { return filepath.Join(c.RunDir, "bootstrap.json") }

func (c *Config) validate() error {
	switch {
	case c.Path == "":
		return errors.New("no Envoy binary is given")
	case c.NodeID == "" || c.Gateway == "":
		return errors.New("an Envoy needs a node id and the name of its Gateway")
	case c.XDS == "":
		return errors.New("no address of an xDS server is given")
	case c.RunDir == "":
		return errors.New("no run directory is given")
	case len(c.AdminSocket()) > maxSocketPath:
		return fmt.Errorf("path of the admin socket %s is longer than %d bytes; choose a shorter run directory", c.AdminSocket(), maxSocketPath)
	}
	return nil
}

// Run keeps an Envoy running until ctx ends, then stops it, and returns when it
// is gone. The error is nil unless Envoy could not be started at all: a bad
// Config, a bootstrap that cannot be written, or a binary that cannot be executed.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.validate(); err != nil {
		return fmt.Errorf("run Envoy: %w", err)
	}
	if err := writeBootstrap(&cfg); err != nil {
		return fmt.Errorf("run Envoy: %w", err)
	}
	// The kernel sends the parent-death signal when the *thread* that started the
	// child ends. So one thread starts every child and stays until the last is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := firstWait
	for {
		started := time.Now()
		err := runOnce(ctx, &cfg)
		if ctx.Err() != nil {
			return nil
		}
		if notStarted := (*startError)(nil); errors.As(err, &notStarted) {
			return fmt.Errorf("run Envoy: %w", err)
		}
		if time.Since(started) >= stableAfter {
			wait = firstWait
		}
		if cfg.OnExit != nil {
			cfg.OnExit(err, wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, maxWait)
	}
}

// startError marks a child that never ran: trying again would not help.
type startError struct{ cause error }

func (e *startError) Error() string { return e.cause.Error() }
func (e *startError) Unwrap() error { return e.cause }

// runOnce is one life of Envoy.
func runOnce(ctx context.Context, cfg *Config) error {
	// Envoy does not remove the socket of a predecessor that was killed.
	if err := os.Remove(cfg.AdminSocket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &startError{err}
	}
	cmd := exec.CommandContext(ctx, cfg.Path, arguments(cfg)...)
	cmd.Stdout, cmd.Stderr = cfg.Output, cfg.Output
	cmd.SysProcAttr = dieWithParent()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return &startError{err}
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errors.New("it ended without being asked to")
}

func arguments(cfg *Config) []string {
	args := []string{
		"--config-path", cfg.bootstrapFile(),
		// We never hand over from one Envoy to the next. With it Envoys would share a
		// region of memory by number, leave it behind when killed, and replace our
		// parent-death signal by one that can be ignored.
		"--disable-hot-restart",
		"--log-level", "warning",
	}
	if cfg.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(cfg.Concurrency))
	}
	return args
}

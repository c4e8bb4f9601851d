package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process is one of the programs of the control plane. Its methods are for tests that
// want to see what happens without it.
type Process struct {
	path      string
	arguments []string
	log       string
	ready     func(context.Context) error // nil once it can be used

	mu      sync.Mutex
	command *exec.Cmd
	exited  chan struct{}
}

func newProcess(cfg *Config, name string, arguments []string, ready func(context.Context) error) *Process {
	return &Process{
		path:      filepath.Join(cfg.Binaries, name),
		arguments: arguments,
		log:       filepath.Join(cfg.Logs, name+".log"),
		ready:     ready,
	}
}

// Start starts the program and returns when it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(p.path), err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended while it started: %s; see %s", filepath.Base(p.path), p.command.ProcessState, p.log)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s is not ready; see %s: %w", filepath.Base(p.path), p.log, err), p.Kill())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil {
		return errors.New("it runs already")
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(p.path, p.arguments...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.command, p.exited = command, exited
	go func() {
		defer close(exited)
		_ = command.Wait() // its state says the same
	}()
	return nil
}

// Stop asks the program to end, and returns when it has. One that does not run is
// fine, too.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

// Kill ends the program without asking.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL) }

func (p *Process) end(with syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return nil
	}
	for _, signal := range []syscall.Signal{with, syscall.SIGKILL} {
		if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end %s: %w", filepath.Base(p.path), err)
		}
		select {
		case <-p.exited:
			p.command = nil
			return nil
		case <-time.After(stopLimit):
		}
	}
	return fmt.Errorf("end %s: it survives SIGKILL", filepath.Base(p.path))
}

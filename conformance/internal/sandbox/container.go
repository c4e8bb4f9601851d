package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// The two things that cmd/container can be asked for, as its first argument.
const (
	actionRun  = "run"
	actionExec = "exec"
)

// Runner starts containers.
type Runner struct {
	// Program is the built cmd/container.
	Program string
	// Scratch is an empty directory, on which each container mounts its root, unseen
	// by the others.
	Scratch string
}

// Container is a program that was started. Its process is the first of its process
// namespace: when it ends, so do all that it started.
type Container struct {
	runner  *Runner
	command *exec.Cmd
	done    chan struct{}
	status  syscall.WaitStatus // valid once done is closed
}

// Start runs the program, with its output going to stdout and stderr. It is to be
// called in the network namespace of the pod.
func (r *Runner) Start(spec *Spec, stdout, stderr io.Writer) (*Container, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	input, err := specFile(spec)
	if err != nil {
		return nil, err
	}
	defer input.Close()
	command := exec.Command(r.Program, actionRun, r.Scratch)
	command.Env = []string{}
	command.Stdout, command.Stderr = stdout, stderr
	command.ExtraFiles = []*os.File{input}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Setsid:     true,
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the container: %w", err)
	}
	container := &Container{runner: r, command: command, done: make(chan struct{})}
	go func() {
		_ = command.Wait() // what it says is in the state of the process
		container.status = command.ProcessState.Sys().(syscall.WaitStatus)
		close(container.done)
	}()
	return container, nil
}

// Done is closed when the program has ended and all its output was written.
func (c *Container) Done() <-chan struct{} { return c.done }

// Exit returns the exit code, and the signal that ended the program, if one did. It is
// to be called after Done.
func (c *Container) Exit() (code, signal int) {
	if c.status.Signaled() {
		return 128 + int(c.status.Signal()), int(c.status.Signal())
	}
	return c.status.ExitStatus(), 0
}

// PID is the number of the program outside of its namespace.
func (c *Container) PID() int { return c.command.Process.Pid }

// Signal sends a signal to the program; one that has ended takes it silently.
func (c *Container) Signal(signal syscall.Signal) error {
	if err := c.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s: %w", signal, err)
	}
	return nil
}

// Exec runs one more program inside of the container, as the user of spec, and returns
// its exit code. It is killed when ctx ends.
func (c *Container) Exec(ctx context.Context, spec *Spec, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if err := spec.validate(); err != nil {
		return 0, err
	}
	input, err := specFile(spec)
	if err != nil {
		return 0, err
	}
	defer input.Close()
	command := exec.CommandContext(ctx, c.runner.Program, actionExec, strconv.Itoa(c.PID()))
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) } // it kills what it started
	command.Env = []string{}
	command.Stdin, command.Stdout, command.Stderr = stdin, stdout, stderr
	command.ExtraFiles = []*os.File{input}
	err = command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run %s in the container: %w", spec.Args[0], err)
	}
	return command.ProcessState.ExitCode(), ctx.Err()
}

// specFD is where the process inside finds the specification: not among its
// arguments, which would be seen, and limited in length.
const specFD = 3

// specFile holds the specification in a file without a name.
func specFile(spec *Spec) (*os.File, error) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode the container: %w", err)
	}
	file, err := memoryFile("container", encoded)
	if err != nil {
		return nil, fmt.Errorf("hand the container over: %w", err)
	}
	return file, nil
}

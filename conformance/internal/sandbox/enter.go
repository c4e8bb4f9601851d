package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// enter runs a program in the namespaces of a container that runs already, and
// returns its exit code. The program becomes a child, because a process cannot change
// its own process namespace.
func enter(spec *Spec, pid int) (int, error) {
	// Threads of one process share their working directory and root, and as long as
	// they do, none of them may go to other mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return 0, fmt.Errorf("leave the other threads: %w", err)
	}
	// All are opened first: once the mounts are others, /proc is too.
	kinds := []struct {
		name string
		flag int
	}{{"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS}, {"net", unix.CLONE_NEWNET}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS}}
	descriptors := make([]int, len(kinds))
	for i, kind := range kinds {
		fd, err := unix.Open(filepath.Join("/proc", strconv.Itoa(pid), "ns", kind.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, fmt.Errorf("open the %s namespace: %w", kind.name, err)
		}
		descriptors[i] = fd
	}
	for i, kind := range kinds {
		if err := unix.Setns(descriptors[i], kind.flag); err != nil {
			return 0, fmt.Errorf("enter the %s namespace: %w", kind.name, err)
		}
	}
	path, err := prepare(spec)
	if err != nil {
		return 0, err
	}
	if err := dropPrivileges(spec); err != nil {
		return 0, err
	}
	command := exec.Cmd{Path: path, Args: spec.Args, Env: spec.Env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("run %s: %w", path, err)
	}
	defer killOnRequest(command.Process)()
	err = command.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for %s: %w", path, err)
	}
	return command.ProcessState.ExitCode(), nil
}

// killOnRequest kills a process when this one is asked to end. A parent-death signal
// does not reach across process namespaces.
func killOnRequest(process *os.Process) (stop func()) {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range requests {
			_ = process.Kill() // it has ended already: all the better
		}
	}()
	return func() {
		signal.Stop(requests)
		close(requests)
		<-done
	}
}

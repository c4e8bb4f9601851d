package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// exitNotStarted is how Main ends when the program could not be started: the number
// that container runtimes use.
const exitNotStarted = 128

// Main is what cmd/container does, with its arguments less the first. It returns only
// where the program could not be run, or was run beside ([actionExec]).
func Main(args []string) int {
	// Capabilities and namespaces belong to a thread; the program replaces this one.
	runtime.LockOSThread()
	code, err := act(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "container: %v\n", err)
		return exitNotStarted
	}
	return code
}

func act(args []string) (int, error) {
	if len(args) != 2 {
		return 0, errors.New("this is started by the cluster, not by hand")
	}
	spec, err := readSpec()
	if err != nil {
		return 0, err
	}
	switch args[0] {
	case actionRun:
		return 0, run(spec, args[1])
	case actionExec:
		pid, err := strconv.Atoi(args[1])
		if err != nil {
			return 0, fmt.Errorf("process %q: %w", args[1], err)
		}
		return enter(spec, pid)
	default:
		return 0, fmt.Errorf("unknown action %q", args[0])
	}
}

// run turns this process into the container's program.
func run(spec *Spec, scratch string) error {
	if err := syscall.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	if err := makeRoot(spec, scratch); err != nil {
		return err
	}
	path, err := prepare(spec)
	if err != nil {
		return err
	}
	if err := dropPrivileges(spec); err != nil {
		return err
	}
	if err := syscall.Exec(path, spec.Args, spec.Env); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return nil
}

// prepare goes to the working directory and finds the program.
func prepare(spec *Spec) (path string, err error) {
	dir := spec.Dir
	if dir == "" {
		dir = "/"
	}
	if err := os.Chdir(dir); err != nil {
		return "", fmt.Errorf("enter the working directory: %w", err)
	}
	return lookUp(spec.Args[0], spec.Env)
}

// lookUp finds a program by the PATH of the container, not of this process.
func lookUp(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var path string
	for _, pair := range env {
		if value, found := strings.CutPrefix(pair, "PATH="); found {
			path = value
		}
	}
	for dir := range strings.SplitSeq(path, ":") {
		candidate := filepath.Join(dir, name)
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("%s is not in the image (PATH=%s)", name, path)
}

package isolation

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// stageVariable tells a process which of the three it is; the outer one has none.
const (
	stageVariable = "RUTTER_ISOLATION_STAGE"
	stageInit     = "init"
	stageProgram  = "program"
)

// outsideFD is where a program finds the listener on the machine's loopback: the
// first descriptor behind the standard ones.
const outsideFD = 3

// Run calls program inside of new namespaces and returns what it returned. It must be
// the first thing that main (or TestMain) does, since everything before it happens
// three times.
func Run(program func() int) int {
	var code int
	var err error
	switch os.Getenv(stageVariable) {
	case stageProgram:
		if err = os.Unsetenv(stageVariable); err == nil {
			return program()
		}
	case stageInit:
		code, err = runInit()
	default:
		code, err = runOuter()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "isolation: %v\n", err)
		return 1
	}
	return code
}

// Outside returns the listener on the loopback of the machine that the outer process
// opened for the program. It is to be taken once.
func Outside() (net.Listener, error) {
	file := os.NewFile(outsideFD, "outside listener")
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take the listener on the machine's loopback: %w", err)
	}
	return listener, nil
}

func runOuter() (int, error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("namespaces with pods of several users need root")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return 0, err
	}
	if err := listener.Close(); err != nil { // the file keeps the socket
		return 0, err
	}
	// The kernel sends the parent-death signal when the thread that started the child
	// ends, so this one must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child, err := again(stageInit, file, &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C reaches the program once, through the forwarding below
	})
	if err != nil {
		return 0, fmt.Errorf("start in new namespaces: %w", err)
	}
	stop := forwardSignals(child.Process)
	defer stop()
	err = child.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return exitCode(child.ProcessState.Sys().(syscall.WaitStatus)), nil
}

// again starts this program with the same arguments, as another stage.
func again(stage string, outside *os.File, attributes *syscall.SysProcAttr) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(path)
	command.Args = os.Args
	command.Env = append(os.Environ(), stageVariable+"="+stage)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.ExtraFiles = []*os.File{outside}
	command.SysProcAttr = attributes
	return command, command.Start()
}

// forwardSignals passes the signals that ask for an end on to a process, until the
// returned function is called.
func forwardSignals(process *os.Process) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for received := range signals {
			_ = process.Signal(received) // it has ended already: then so do we
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

// exitCode is what a shell would say of a process.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

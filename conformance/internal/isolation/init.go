package isolation

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
)

// runInit is process 1 inside: it makes the namespaces usable, starts the program,
// and reaps every process that loses its parent, until the program ends.
func runInit() (int, error) {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return 0, fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return 0, fmt.Errorf("mount /proc: %w", err)
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return 0, fmt.Errorf("find the loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return 0, fmt.Errorf("bring up the loopback device: %w", err)
	}
	program, err := again(stageProgram, os.NewFile(outsideFD, "outside listener"), nil)
	if err != nil {
		return 0, fmt.Errorf("start the program: %w", err)
	}
	stop := forwardSignals(program.Process)
	defer stop()
	// The program is waited for here and not with program.Wait: one of the two would
	// take the other's status.
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the program: %w", err)
		case pid == program.Process.Pid:
			return exitCode(status), nil
		}
	}
}

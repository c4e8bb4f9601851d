package manifests

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lease takes a read lease on f until f is closed. The kernel grants it only
// while no process has the file open for writing, and makes whoever then opens
// it for writing wait for us (fcntl(2), "Leases"). It also sends SIGIO, which the
// Go runtime ignores. It needs the file to be ours, or CAP_LEASE.
func lease(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EAGAIN):
		return errBusy
	default:
		return errNoLease
	}
}

package envoyproc

import "syscall"

// dieWithParent makes the kernel kill the child when its parent is gone, however
// that happened; and keeps the terminal's Ctrl-C from the child, which is stopped
// in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

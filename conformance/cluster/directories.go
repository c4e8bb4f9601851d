package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func (c *Cluster) state() string { return filepath.Join(c.cfg.Dir, "state") }

// makeDirectories makes the directories of the cluster, with nothing in them of one
// before, and keeps others away from them.
func (c *Cluster) makeDirectories() error {
	if err := os.MkdirAll(c.cfg.Dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(c.cfg.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return fmt.Errorf("another cluster uses %s: %w", c.cfg.Dir, err)
	}
	c.lock = lock // closing it unlocks
	for _, dir := range []string{c.state(), c.Logs} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(c.state(), "root"), 0o755)
}

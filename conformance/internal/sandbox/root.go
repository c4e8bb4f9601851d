package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// directories are there in every image, with who may write to them.
func directories() map[string]fs.FileMode {
	return map[string]fs.FileMode{
		"dev": 0o755, "etc": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755, "sys": 0o555,
		"tmp": 0o777 | fs.ModeSticky, "usr": 0o755, "usr/local": 0o755, "usr/local/bin": 0o755, "var": 0o755,
	}
}

// makeRoot builds the file system of the container on scratch, and makes it the root
// of this process's mounts. What was the root before is gone afterwards.
func makeRoot(spec *Spec, scratch string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", unix.MS_NOSUID, "mode=0755,size=1g"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	unix.Umask(0)
	for dir, mode := range directories() {
		if err := makeDirectory(filepath.Join(scratch, dir), mode); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", filepath.Join(scratch, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := makeDevices(filepath.Join(scratch, "dev")); err != nil {
		return err
	}
	for name, content := range spec.Files {
		target := filepath.Join(scratch, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("make a directory for %s: %w", name, err)
		}
		if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	for _, mount := range spec.Mounts {
		if err := bind(mount, filepath.Join(scratch, mount.Target)); err != nil {
			return fmt.Errorf("mount %s: %w", mount.Target, err)
		}
	}
	return pivot(scratch, spec.ReadOnly)
}

// makeDirectory makes a directory with exactly this mode.
func makeDirectory(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// makeDevices gives the container the devices that every program may expect.
func makeDevices(dev string) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		if err := bind(Mount{Source: filepath.Join("/dev", name)}, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("bind /dev/%s: %w", name, err)
		}
	}
	shared := filepath.Join(dev, "shm")
	if err := makeDirectory(shared, 0o777|fs.ModeSticky); err != nil {
		return err
	}
	if err := unix.Mount("shm", shared, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777,size=64m"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	for link, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(dev, link)); err != nil {
			return err
		}
	}
	return nil
}

// bind mounts a file or directory of the machine on target, which is made if need be.
func bind(mount Mount, target string) error {
	info, err := os.Stat(mount.Source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		err = touch(target)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(mount.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if !mount.ReadOnly {
		return nil
	}
	return remountReadOnly(target)
}

func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// remountReadOnly closes a mount against writing; flags that it has must be repeated.
func remountReadOnly(target string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(target, &stat); err != nil {
		return err
	}
	kept := uintptr(stat.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|kept, "")
}

// pivot makes root the root, and unmounts what was.
func pivot(root string, readOnly bool) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// Old and new root on the same place: the old one is then on top, and detached.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if readOnly {
		if err := remountReadOnly("/"); err != nil {
			return errors.Join(errors.New("close the root against writing"), err)
		}
	}
	return nil
}

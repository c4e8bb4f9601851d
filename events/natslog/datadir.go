package natslog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is returned when another process has the data directory.
var ErrInUse = errors.New("another process uses the data directory")

const (
	// storeDir is where the server keeps the streams.
	storeDir = "jetstream"
	lockFile = "lock"
)

// OwnerFile in a data directory holds the URL, with its token, at which the
// owner can be read along. It is left behind when the owner dies; the lock says
// who lives.
const OwnerFile = "owner"

// lock takes the data directory for this process, until it calls the function
// returned or dies.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // the error that counts is err
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: %w: stop that process, or choose another directory", dir, ErrInUse)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	// Closing the file releases the lock.
	return func() { _ = f.Close() }, nil
}

// announce writes where the owner of dir can be read along, for this user only.
func announce(dir, url string) error {
	f, err := os.CreateTemp(dir, OwnerFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("announce server: %w", err)
	}
	_, err = f.WriteString(url)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, OwnerFile))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("announce server: %w", err)
	}
	return nil
}

// OpenDataDir opens the log in a data directory for reading: through its owner
// when one is running and shares it (waiting until ctx ends for one that is just
// starting or stopping), else with a server of its own for as long as the log is
// open. A directory without a log stays as it is. Errors: [fs.ErrNotExist] for
// one, [ErrInUse] by an owner that does not share, and those of [StartServer].
func OpenDataDir(ctx context.Context, dir string, logger *slog.Logger) (*Log, error) {
	if _, err := os.Stat(filepath.Join(dir, storeDir)); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	for {
		l, err := StartServer(ctx, ServerConfig{Dir: dir, Logger: logger})
		if !errors.Is(err, ErrInUse) {
			return l, err
		}
		url, readErr := os.ReadFile(filepath.Join(dir, OwnerFile))
		if readErr == nil {
			if l, err := dial(strings.TrimSpace(string(url)), logger); err == nil {
				return l, nil
			}
		} else if !errors.Is(readErr, fs.ErrNotExist) {
			return nil, fmt.Errorf("find the owner of data directory %s: %w", dir, readErr)
		}
		// The owner is starting or stopping, or does not share.
		if !pause(ctx, 100*time.Millisecond) {
			return nil, err
		}
	}
}

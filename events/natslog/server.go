package natslog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog/internal/filestore"
)

// ServerConfig of an embedded server.
type ServerConfig struct {
	// Dir is the data directory; it is created where it does not exist.
	Dir string
	// Share lets other processes of the same user on this machine read along (see
	// [OpenDataDir]): the server listens on a port of 127.0.0.1, for those who have
	// the token in the data directory.
	Share  bool
	Logger *slog.Logger
}

const (
	// maxPayload of the embedded server. A cluster may allow less: see StreamInfo.MaxData.
	maxPayload = 8 << 20
	// maxStore is no limit: by itself the server would take three quarters of what
	// was free when it started, and refuse even when more becomes free.
	maxStore = 1 << 60
	// spare is the free disk space in bytes below which nothing is appended. A
	// server whose write fails for want of space refuses every later one until it
	// is restarted; so it must never come to that.
	spare = 32 << 20
	// markEvery is how often it is noted how far the streams have come.
	markEvery = time.Second
	// serverStart is how long a server may take until it accepts connections,
	// beyond reading its data.
	serverStart = 30 * time.Second
)

// embedded is a NATS server in this process, on a data directory of its own.
type embedded struct {
	dir     string
	logger  *slog.Logger
	server  *server.Server
	unlock  func()
	stopped chan struct{}
	marking sync.WaitGroup
}

// StartServer starts a NATS server in this process, and returns the log on it.
// Every append is on the disk before it is acknowledged. Closing the log stops
// the server.
//
// It fails with [events.ErrDamaged] when bytes in the directory are lost or
// altered, and with [ErrInUse] when another process has it.
func StartServer(ctx context.Context, c ServerConfig) (*Log, error) {
	if c.Dir == "" || c.Logger == nil {
		return nil, errors.New("start embedded server: the data directory or the logger is missing")
	}
	unlock, err := lock(c.Dir)
	if err != nil {
		return nil, err
	}
	l, err := startLocked(ctx, c, unlock)
	if err != nil {
		unlock()
		return nil, err
	}
	return l, nil
}

func startLocked(ctx context.Context, c ServerConfig, unlock func()) (*Log, error) {
	if err := check(c.Dir); err != nil {
		return nil, err
	}
	token := rand.Text()
	s, err := server.NewServer(&server.Options{
		ServerName: "rutter", Host: "127.0.0.1", Port: server.RANDOM_PORT, DontListen: !c.Share, Authorization: token,
		JetStream: true, JetStreamMaxStore: maxStore, StoreDir: c.Dir, SyncAlways: true, MaxPayload: maxPayload,
		NoSigs: true, NoSystemAccount: true,
	})
	if err != nil {
		return nil, fmt.Errorf("configure embedded server on %s: %w", c.Dir, err)
	}
	s.SetLoggerV2(serverLogger{c.Logger}, false, false, false)
	e := &embedded{dir: c.Dir, logger: c.Logger, server: s, unlock: unlock, stopped: make(chan struct{})}
	s.Start() // reads all data before it returns
	l, err := e.connect(token, c.Share)
	if err == nil && ctx.Err() != nil {
		l.conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start embedded server on %s: %w", c.Dir, err)
	}
	e.marking.Go(e.keepMarks)
	return l, nil
}

func (e *embedded) connect(token string, share bool) (*Log, error) {
	if !e.server.ReadyForConnections(serverStart) {
		return nil, errors.New("it does not accept connections; its reason is in the log")
	}
	if !e.server.JetStreamEnabled() {
		return nil, errors.New("JetStream is off; its reason is in the log")
	}
	l, err := dial("", e.logger, nats.InProcessServer(e.server), nats.Token(token), nats.Name("rutter"))
	if err != nil {
		return nil, err
	}
	if share {
		if err := announce(e.dir, "nats://"+token+"@"+e.server.Addr().String()); err != nil {
			l.conn.Close()
			return nil, err
		}
	}
	l.room, l.release = e.room, sync.OnceFunc(e.stop)
	return l, nil
}

// room refuses bytes when the disk would be nearly full with them. An atomic
// batch is on the disk twice until it is committed.
func (e *embedded) room(bytes int) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(e.dir, &fs); err != nil {
		return fmt.Errorf("read free space of %s: %w", e.dir, err)
	}
	if free, need := fs.Bavail*uint64(fs.Bsize), uint64(spare+2*bytes); free < need {
		return fmt.Errorf("the disk of %s has %d bytes left, and the append needs %d: %w", e.dir, free, need, events.ErrFull)
	}
	return nil
}

// stop ends the server after the last append, and notes how far it came.
func (e *embedded) stop() {
	close(e.stopped)
	e.marking.Wait()
	e.server.Shutdown()
	e.server.WaitForShutdown()
	e.unlock()
}

// keepMarks notes how far the streams have come, every second and at the end.
func (e *embedded) keepMarks() {
	ticker := time.NewTicker(markEvery)
	defer ticker.Stop()
	written := ""
	for running := true; running; {
		select {
		case <-ticker.C:
		case <-e.stopped:
			running = false
		}
		marks, err := e.marks()
		if text := fmt.Sprint(marks); err == nil && text != written {
			if err = filestore.WriteMarks(e.dir, marks); err == nil {
				written = text
			}
		}
		if err != nil {
			e.logger.Warn("data directory was not marked", "error", err)
		}
	}
}

func (e *embedded) marks() (map[string]filestore.Mark, error) {
	info, err := e.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return nil, err
	}
	marks := map[string]filestore.Mark{}
	for _, account := range info.AccountDetails {
		for _, s := range account.Streams {
			marks[s.Name] = filestore.Mark{Created: s.Created, First: s.State.FirstSeq, FirstTime: s.State.FirstTime, Last: s.State.LastSeq}
		}
	}
	return marks, nil
}

// check refuses a data directory whose bytes are not those that were written.
// A directory without any store is a new one, whatever was noted of an earlier:
// moving the store away is the way out of damage.
func check(dir string) error {
	store := filepath.Join(dir, storeDir)
	if _, err := os.Stat(store); errors.Is(err, fs.ErrNotExist) {
		return filestore.ForgetMarks(dir)
	}
	err := filestore.Check(dir, time.Now())
	if damage, ok := errors.AsType[*filestore.Damage](err); ok {
		return fmt.Errorf("data directory %s: %w: %w: restore %s from a copy, or move it away to start anew from the manifests",
			dir, events.ErrDamaged, damage, store)
	}
	if err != nil {
		return fmt.Errorf("check data directory %s: %w", dir, err)
	}
	return nil
}

// serverLogger passes on what the server finds worth a warning, and the rest for
// debugging.
type serverLogger struct{ logger *slog.Logger }

func (l serverLogger) Noticef(format string, v ...any) { l.debug(format, v) }
func (l serverLogger) Debugf(format string, v ...any)  { l.debug(format, v) }
func (l serverLogger) Tracef(format string, v ...any)  { l.debug(format, v) }
func (l serverLogger) Warnf(format string, v ...any) {
	// The server warns of what it repairs after a kill, which the check of the data
	// directory has found to be whole.
	l.logger.Info("NATS server", "detail", fmt.Sprintf(format, v...))
}
func (l serverLogger) Errorf(format string, v ...any) {
	l.logger.Error("NATS server", "detail", fmt.Sprintf(format, v...))
}
func (l serverLogger) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l serverLogger) debug(format string, v []any) {
	l.logger.Debug("NATS server", "detail", fmt.Sprintf(format, v...))
}

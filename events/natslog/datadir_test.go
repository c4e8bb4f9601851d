package natslog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

func TestSecondOwnerOfADataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	_, err := StartServer(t.Context(), ServerConfig{Dir: dir, Logger: logger(t)})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("error %v", err)
	}
	l.Close()
	start(t, dir)
}

func TestDataDirectoryIsReadThroughItsOwner(t *testing.T) {
	dir := t.TempDir()
	owner, err := StartServer(t.Context(), ServerConfig{Dir: dir, Share: true, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	_, w := take(t, owner)
	if _, err := w.Append(t.Context(), message(0, 10), message(1, 10)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, OwnerFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("owner file: %v, %v", info.Mode(), err)
	}
	for range 2 { // with the owner, and after it
		l, err := OpenDataDir(t.Context(), dir, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Stream(t.Context(), events.StreamConfig{Name: events.StreamEvents})
		if err != nil {
			t.Fatal(err)
		}
		wantMessages(t, s, 2, 10)
		l.Close()
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		owner.Close()
	}
}

func TestDataDirectoryOfAnOwnerThatDoesNotShareIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := OpenDataDir(ctx, dir, logger(t)); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
}

func TestReadingADirectoryWithoutALogLeavesItAsItIs(t *testing.T) {
	dir := t.TempDir()
	for _, dir := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := OpenDataDir(t.Context(), dir, logger(t)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("found %v, %v", left, err)
	}
}

func TestEpochGrowsWhereTheServerAgedOutTheGuard(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	c := endless()
	c.MaxAge = 200 * time.Millisecond
	s, err := l.Stream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var first events.Writer
	for range 3 {
		if first, err = s.Acquire(t.Context(), lease("a")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = first.Close(context.WithoutCancel(t.Context())) })
	}
	last, err := first.Append(t.Context(), message(0, 10))
	if err != nil {
		t.Fatal(err)
	}
	for age := time.Now().Add(c.MaxAge); time.Now().Before(age); {
		if !pause(t.Context(), time.Until(age)) {
			t.Fatal(t.Context().Err())
		}
	}
	l.Close()

	l = start(t, dir)
	if s, err = l.Stream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w, err := s.Acquire(t.Context(), lease("b"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(t.Context())
	if w.Epoch() <= first.Epoch() {
		t.Errorf("epoch %d after %d", w.Epoch(), first.Epoch())
	}
	if at, err := w.Append(t.Context(), message(1, 10)); err != nil || at != last+2 {
		t.Errorf("appended at %d, want %d: %v", at, last+2, err)
	}
}

// childDir tells the test binary to be the process that is killed.
const childDir = "NATSLOG_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestEverythingAcknowledgedOutlivesAKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for range 3 {
		acknowledged = max(acknowledged, killed(t, dir, acknowledged))
	}
	l := start(t, dir)
	s, err := l.Stream(t.Context(), endless())
	if err != nil {
		t.Fatal(err)
	}
	r := s.Reader(1)
	defer r.Close()
	next := 0
	for next <= acknowledged {
		batch, err := r.Next(t.Context())
		if err != nil {
			t.Fatalf("%d messages were acknowledged, and %d are there: %v", acknowledged, next, err)
		}
		for _, m := range batch {
			if m.Header["n"] == "" { // a guard
				continue
			}
			if m.ID != message(next, 10).ID {
				t.Fatalf("found %s, want %s", m.ID, message(next, 10).ID)
			}
			next++
		}
	}
}

// killed lets a process append until it has acknowledged a few hundred messages
// more, kills it, and returns the number of the last one acknowledged.
func killed(t *testing.T, dir string, from int) int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Fatal(lines.Text())
		}
		if last > from+300 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	return last
}

// appendForEver goes on where the stream ends, and prints what is acknowledged.
func appendForEver(dir string) error {
	ctx := context.Background()
	l, err := StartServer(ctx, ServerConfig{Dir: dir, Logger: discard()})
	if err != nil {
		return err
	}
	s, err := l.Stream(ctx, endless())
	if err != nil {
		return err
	}
	next := 0
	if last, err := s.Last(ctx, message(0, 10).Subject); err == nil {
		if _, err := fmt.Sscan(last.Header["n"], &next); err != nil {
			return err
		}
		next++
	}
	w, err := s.Acquire(ctx, lease("child"))
	if err != nil {
		return err
	}
	for size := 1; ; size = size%13 + 1 {
		batch := make([]events.Message, size)
		for i := range batch {
			batch[i] = message(next+i, 10)
		}
		if _, err := w.Append(ctx, batch...); err != nil {
			return err
		}
		next += size
		fmt.Println(next - 1)
	}
}

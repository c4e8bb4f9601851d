package envoyproc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// fake writes a script that stands for Envoy.
func fake(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "envoy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func config(t *testing.T, path string) Config {
	return Config{Path: path, NodeID: "n", Gateway: "default/gw", XDS: filepath.Join(t.TempDir(), "xds.sock"), RunDir: t.TempDir(), Concurrency: 1}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil && state(pid) != "Z" }

// state is the letter of a process in /proc, "" if it is gone.
func state(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return rest[:1]
}

func TestEnvoyRunsUntilTheContextEnds(t *testing.T) {
	cfg := config(t, gwtest.Envoy(t))
	cfg.OnExit = func(err error, _ time.Duration) { t.Errorf("Envoy died: %v", err) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	gwtest.Eventually(t, "the admin socket", func() error { _, err := os.Stat(cfg.AdminSocket()); return err })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestADeadEnvoyIsStartedAgainWithGrowingWaits(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	cfg := config(t, fake(t, "echo $$ >> "+pids+"; exit 3\n"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits []time.Duration
	cfg.OnExit = func(err error, wait time.Duration) {
		if !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("died of %v", err)
		}
		if waits = append(waits, wait); len(waits) == 3 {
			cancel()
		}
	}
	if err := Run(ctx, cfg); err != nil {
		t.Error(err)
	}
	if fmt.Sprint(waits) != "[100ms 200ms 400ms]" {
		t.Errorf("waits %v", waits)
	}
	if data, err := os.ReadFile(pids); err != nil || strings.Count(string(data), "\n") != 3 {
		t.Errorf("starts: %q %v", data, err)
	}
}

func TestWhatCannotWorkIsRefusedAtOnce(t *testing.T) {
	good := config(t, fake(t, "exit 0\n"))
	for name, spoil := range map[string]func(*Config){
		"no binary":       func(c *Config) { c.Path = "" },
		"missing binary":  func(c *Config) { c.Path = "/nowhere/envoy" },
		"no node":         func(c *Config) { c.NodeID = "" },
		"no xds":          func(c *Config) { c.XDS = "" },
		"bad xds":         func(c *Config) { c.XDS = "host-without-port" },
		"no directory":    func(c *Config) { c.RunDir = filepath.Join(c.RunDir, "missing") },
		"long socket":     func(c *Config) { c.RunDir = "/" + strings.Repeat("x", 200) },
		"no run location": func(c *Config) { c.RunDir = "" },
	} {
		cfg := good
		spoil(&cfg)
		if err := Run(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "run Envoy: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEnvoyDiesWithAKilledParent runs a copy of the test binary as the parent.
func TestEnvoyDiesWithAKilledParent(t *testing.T) {
	if os.Getenv("RUTTER_TEST_PARENT") != "" {
		cfg := config(t, os.Getenv("RUTTER_TEST_PARENT"))
		fmt.Println("dir", cfg.RunDir)
		if err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only Linux has a parent-death signal")
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	parent := exec.Command(os.Args[0], "-test.run=^TestEnvoyDiesWithAKilledParent$", "-test.v")
	parent.Env = append(os.Environ(), "RUTTER_TEST_PARENT="+fake(t, "echo $$ > "+pidFile+".new; mv "+pidFile+".new "+pidFile+"; exec "+gwtest.Envoy(t)+" \"$@\"\n"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if d, ok := strings.CutPrefix(lines.Text(), "dir "); ok {
			dir = d
			break
		}
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(dir)) }) // the killed parent could not
	gwtest.Eventually(t, "Envoy runs", func() error { _, err := os.Stat(filepath.Join(dir, "admin.sock")); return err })
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || !alive(pid) {
		t.Fatalf("pid %q: %v", data, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()                                            // it was killed
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // if it lives on after all
	gwtest.Eventually(t, "Envoy is gone", func() error {
		if alive(pid) {
			return errors.New("it is alive")
		}
		return nil
	})
}

func TestFindChecksTheVersion(t *testing.T) {
	say := func(version string) string {
		return fake(t, "echo 'envoy  version: 0a1b/"+version+"/Clean/RELEASE/BoringSSL'\n")
	}
	for version, ok := range map[string]bool{"1.40.0": true, "1.41.2": true, "2.0.0": true, "1.39.9": false, "0.50.0": false} {
		if _, err := Find(t.Context(), say(version)); (err == nil) != ok || !ok && !errors.Is(err, ErrNoEnvoy) {
			t.Errorf("%s: %v", version, err)
		}
	}
	for _, path := range []string{fake(t, "echo nonsense\n"), fake(t, "exit 1\n"), "/nowhere/envoy"} {
		if _, err := Find(t.Context(), path); !errors.Is(err, ErrNoEnvoy) {
			t.Errorf("%s: %v", path, err)
		}
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := Find(t.Context(), Auto); !errors.Is(err, ErrNoEnvoy) || !strings.Contains(err.Error(), "install Envoy 1.40") {
		t.Errorf("nothing to find: %v", err)
	}
	if err := os.Symlink(say("1.40.1"), filepath.Join(dir, "envoy")); err != nil {
		t.Fatal(err)
	}
	if path, err := Find(t.Context(), Auto); err != nil || path != filepath.Join(dir, "envoy") {
		t.Errorf("in PATH: %q %v", path, err)
	}
}

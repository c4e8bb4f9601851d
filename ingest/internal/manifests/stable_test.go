package manifests

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const smallService = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{port: %d}]}\n"

func TestFileIsReadOnlyWhileNobodyHasItOpenForWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func() ([]byte, error) {
		data, _, err := readStable(path, lease, look{}, time.Now())
		return data, err
	}
	if _, err := read(); !errors.Is(err, errBusy) {
		t.Skipf("no leases here: %v", err)
	}
	if _, err := w.WriteString("whole"); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); !errors.Is(err, errBusy) {
		t.Errorf("read while open for writing: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := read(); err != nil || string(data) != "whole" {
		t.Errorf("got %q, %v", data, err)
	}
	r, err := os.Open(path) // readers do not matter
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := read(); err != nil {
		t.Error(err)
	}
}

// The kernel sends SIGIO to the holder of a lease when somebody wants to write;
// it must neither kill the process nor keep the writer waiting.
func TestWriterWaitsForAReadAndIsNotRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := lease(held); err != nil {
		t.Skipf("no leases here: %v", err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- os.WriteFile(path, []byte("new"), 0o644) }()
	select {
	case err := <-wrote:
		t.Fatalf("the writer did not wait: %v", err)
	case <-time.After(20 * time.Millisecond): // it is blocked in open(2)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-wrote:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the writer still waits")
	}
}

func TestWithoutLeasesAFileMustHaveBeenQuiet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	noLease := func(*os.File) error { return errNoLease }
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	written := info.ModTime()
	_, seen, err := readStable(path, noLease, look{}, written)
	if !errors.Is(err, errBusy) {
		t.Fatalf("read at once: %v", err)
	}
	if _, _, err := readStable(path, noLease, seen, written.Add(quiet-1)); !errors.Is(err, errBusy) {
		t.Errorf("read too early: %v", err)
	}
	if data, _, err := readStable(path, noLease, seen, written.Add(quiet)); err != nil || string(data) != "content" {
		t.Errorf("got %q, %v", data, err)
	}

	// A modification time in the future says nothing; not changing does.
	if err := os.Chtimes(path, written, written.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, seen, err = readStable(path, noLease, seen, written.Add(quiet))
	if !errors.Is(err, errBusy) {
		t.Errorf("read though it has just changed: %v", err)
	}
	if _, _, err := readStable(path, noLease, seen, written.Add(2*quiet)); err != nil {
		t.Error(err)
	}
}

func TestReaderWorksWithoutLeases(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.lease = func(*os.File) error { return errNoLease }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for port := range 3 {
		if err := os.WriteFile(filepath.Join(dir, "s.yaml"), fmt.Appendf(nil, smallService, "s", port+1), 0o644); err != nil {
			t.Fatal(err)
		}
		changes, err := r.Next(ctx)
		if err != nil || len(changes.Applied) != 1 {
			t.Fatalf("%+v, %v", changes, err)
		}
	}
}

func TestPipesAndDirectoriesAreNotManifests(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := readStable(dir, lease, look{}, time.Now()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

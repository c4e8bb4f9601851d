package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update is registered here because a test binary parses its flags before any
// test runs.
var update = flag.Bool("update", false, "rewrite the expected sections of golden archives")

// Run runs story once for each archive whose file name matches pattern, as a
// subtest named after the file. A pattern that matches nothing is an error.
func Run(t *testing.T, pattern string, story func(t *testing.T, a *Archive)) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatalf("find golden archives: %v", err)
	}
	if len(paths) == 0 {
		t.Fatalf("find golden archives: nothing matches %s", pattern)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { RunFile(t, path, story) })
	}
}

// RunFile runs story once, for one archive.
func RunFile(t *testing.T, path string, story func(t *testing.T, a *Archive)) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a := parse(data)
	story(t, a)
	if t.Failed() || t.Skipped() {
		return
	}
	problems := a.problems(*update)
	for _, problem := range problems {
		t.Errorf("%s: %s", path, problem)
	}
	if !*update || len(problems) > 0 {
		return
	}
	if err := os.WriteFile(path, a.updated(), 0o644); err != nil {
		t.Fatal(err)
	}
}

package gwtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Envoy is the Envoy to test with: $RUTTER_ENVOY, bin/envoy of this module, or the
// one in PATH. Without one the test fails: there is nothing to take its place.
func Envoy(t testing.TB) string {
	t.Helper()
	path := os.Getenv("RUTTER_ENVOY")
	for dir := "."; path == ""; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		path = filepath.Join(dir, "bin", "envoy")
		if _, err := os.Stat(path); err != nil {
			if path, err = exec.LookPath("envoy"); err != nil {
				t.Fatal("this test needs Envoy 1.40 or newer: run `make envoy`, or name one in RUTTER_ENVOY")
			}
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

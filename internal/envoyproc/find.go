package envoyproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Auto is the path that lets [Find] look for itself.
const Auto = "auto"

// The oldest Envoy that is supported: before it, scoped routes had faults that
// lost routes.
const (
	minMajor = 1
	minMinor = 40
)

// ErrNoEnvoy is returned by [Find] when there is no Envoy, or only one too old.
var ErrNoEnvoy = errors.New("no usable Envoy")

// Find is the Envoy binary to run: path itself, or for [Auto] the first that
// exists of bin/envoy and envoy beside this executable, bin/envoy in the directory
// above it, and envoy in PATH. Its version is checked by running it.
func Find(ctx context.Context, path string) (string, error) {
	if path != Auto {
		return path, check(ctx, path)
	}
	for _, candidate := range candidates() {
		if info, err := os.Stat(candidate); err == nil && !info.IsDir() {
			return candidate, check(ctx, candidate)
		}
	}
	return "", fmt.Errorf("%w: there is no bin/envoy beside this program and no envoy in PATH; install Envoy %d.%d or newer, or name one",
		ErrNoEnvoy, minMajor, minMinor)
}

func candidates() []string {
	var out []string
	if self, err := os.Executable(); err == nil {
		dir := filepath.Dir(self)
		out = append(out, filepath.Join(dir, "bin", "envoy"), filepath.Join(dir, "envoy"), filepath.Join(filepath.Dir(dir), "bin", "envoy"))
	}
	if inPath, err := exec.LookPath("envoy"); err == nil {
		out = append(out, inPath)
	}
	return out
}

// check runs envoy --version.
func check(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return fmt.Errorf("%w: run %s --version: %w", ErrNoEnvoy, path, err)
	}
	major, minor, ok := parseVersion(string(output))
	if !ok {
		return fmt.Errorf("%w: %s does not say which version it is: %q", ErrNoEnvoy, path, output)
	}
	if major < minMajor || major == minMajor && minor < minMinor {
		return fmt.Errorf("%w: %s is version %d.%d, and %d.%d is the oldest that works", ErrNoEnvoy, path, major, minor, minMajor, minMinor)
	}
	return nil
}

// parseVersion reads "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL".
func parseVersion(output string) (major, minor int, ok bool) {
	m := regexp.MustCompile(`version: [0-9a-f]*/([0-9]+)\.([0-9]+)\.`).FindStringSubmatch(output)
	if m == nil {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return major, minor, err1 == nil && err2 == nil
}

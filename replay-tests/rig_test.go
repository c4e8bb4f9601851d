package replaytests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is rutter, built of this tree.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv("RUTTER_REPLAY_NO_BINARY") != "" { // a mutant refolds, and asks no commands
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rutter-replay-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rutter")
	build := exec.Command("go", "build", "-o", binary, "../cmd/rutter")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build rutter: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rutter is what a command prints, and its exit code.
func rutter(ctx context.Context, args ...string) (output string, code int) {
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	} else if err != nil {
		return err.Error(), -1
	}
	return string(out), 0
}

// moments are the sequences that a script has marked, by name.
type moments map[string]string

func readMoments(t *testing.T, dir string) moments {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "moments"))
	must(t, err)
	out := moments{}
	for line := range strings.Lines(string(text)) {
		name, sequence, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			t.Fatalf("moments of %s: %q is no name and sequence", dir, line)
		}
		out[name] = sequence
	}
	return out
}

// in is a command line with the sequences in the place of names, such as @before.
func (m moments) in(line string) (string, error) {
	for word := range strings.FieldsSeq(line) {
		if name, ok := strings.CutPrefix(word, "@"); ok {
			if m[name] == "" {
				return "", fmt.Errorf("%s: there is no moment %s", line, word)
			}
			line = strings.Replace(line, word, m[name], 1)
		}
	}
	return line, nil
}

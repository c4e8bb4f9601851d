package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/golden"
)

// TestBadInput tells of what cannot be read, with the commands as they are typed: each
// line of the section bundles makes a file of a recorded history, and how it was spoilt
// ([spoil]). Names of such files stand for their paths. What is wrong is said in one line,
// with what to do, and exit code 2.
func TestBadInput(t *testing.T) {
	golden.Run(t, "testdata/bad-input/*.txtar", func(t *testing.T, a *golden.Archive) {
		dir := t.TempDir()
		var names []string
		for range a.Inputs("bundles") {
			for line := range strings.Lines(string(a.Input("bundles"))) {
				name, how, _ := strings.Cut(strings.TrimSpace(line), " ")
				must(t, os.WriteFile(filepath.Join(dir, name), spoil(t, strings.Fields(how)), 0o600))
				names = append(names, name)
			}
		}
		r := &rig{t: t}
		var out strings.Builder
		for line := range strings.Lines(string(a.Input("commands"))) {
			line = strings.TrimSpace(line)
			arguments := strings.Fields(line)
			for i, argument := range arguments {
				for _, name := range names {
					if argument == name {
						arguments[i] = filepath.Join(dir, name)
					}
				}
			}
			code, printed := r.rutter(arguments...)
			if code == exitFailed && strings.Count(printed, "\n") != 1 {
				t.Errorf("rutter %s says more than one line:\n%s", line, printed)
			}
			fmt.Fprintf(&out, "$ rutter %s\n%s= %d\n\n", line, strings.ReplaceAll(printed, dir+"/", ""), code)
		}
		a.Expect("output", []byte(strings.TrimSuffix(out.String(), "\n")))
	})
}

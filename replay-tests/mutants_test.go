package replaytests

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var mutants = flag.Bool("mutants", false, "show that each history goes red when the code that it covers is disabled")

// TestMutants compiles this package with one line of the program replaced, as the
// section disabled of a history says, and expects its refolding to fail. No switch is
// in the program for it: the compiler gets another file in the place of the real one.
//
//	-- disabled --
//	projector/route/reader.go
//	- the line as it is
//	+ the line instead
func TestMutants(t *testing.T) {
	if !*mutants {
		t.Skip("see `make replay-mutants`: each takes a build")
	}
	for _, dir := range histories(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			overlay := mutate(t, dir)
			test := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", overlay, ".", "-count=1", "-run", "^TestRefolded$/^"+filepath.Base(dir)+"$")
			test.Env = append(os.Environ(), "RUTTER_REPLAY_NO_BINARY=1")
			out, err := test.CombinedOutput()
			switch text := string(out); {
			case err == nil:
				t.Errorf("it is green without the code that it covers:\n%s", text)
			case strings.Contains(text, "[build failed]"):
				t.Errorf("the mutant does not compile:\n%s", text)
			case !strings.Contains(text, "refolding gives other content") && !strings.Contains(text, "panic:"):
				t.Errorf("it fails for another reason:\n%s", text)
			}
		})
	}
}

// mutate writes the file with the line replaced, and the overlay that puts it in place.
func mutate(t *testing.T, dir string) (overlay string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "expect.txtar"))
	must(t, err)
	var lines []string
	for _, f := range txtar.Parse(text).Files {
		if f.Name == "disabled" {
			lines = strings.Split(strings.TrimSpace(string(f.Data)), "\n")
		}
	}
	if len(lines) != 3 {
		t.Fatalf("%s: the section disabled names a file, a line and another", dir)
	}
	path, err := filepath.Abs(filepath.Join("..", lines[0]))
	must(t, err)
	source, err := os.ReadFile(path)
	must(t, err)
	was, is := strings.TrimPrefix(lines[1], "- "), strings.TrimPrefix(lines[2], "+ ")
	if n := strings.Count(string(source), was+"\n"); n != 1 {
		t.Fatalf("%s has the line %q %d times, want once", lines[0], was, n)
	}
	mutant := filepath.Join(t.TempDir(), "mutant.go")
	must(t, os.WriteFile(mutant, []byte(strings.Replace(string(source), was+"\n", is+"\n", 1)), 0o600))
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{path: mutant}})
	must(t, err)
	overlay = filepath.Join(t.TempDir(), "overlay.json")
	must(t, os.WriteFile(overlay, data, 0o600))
	return overlay
}

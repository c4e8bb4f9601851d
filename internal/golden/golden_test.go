package golden

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/textdiff"
)

// capitals is the story that the tests here tell.
func capitals(a *Archive) {
	var all []byte
	for _, name := range a.Inputs("in/*") {
		all = append(all, a.Input(name)...)
	}
	a.Expect("out", bytes.ToUpper(all))
}

func TestStoryPassesWhenOutputIsAsRecorded(t *testing.T) {
	Run(t, "testdata/*.txtar", func(_ *testing.T, a *Archive) { capitals(a) })
}

func TestStoryFailsAndSaysWhy(t *testing.T) {
	long := "Long.\n-- in/a --\n" + strings.Repeat("a\n", MaxLines) + "-- out --\n"
	for name, c := range map[string]struct{ archive, problem string }{
		"output differs":              {"Intent.\n-- in/a --\na\nb\n-- out --\nA\nX\n", "section \"out\" differs (- recorded, + computed):\n  A\n- X\n+ B\n"},
		"no intent":                   {"\n-- in/a --\na\n-- out --\nA\n", "does not begin with a sentence of intent"},
		"output is not recorded":      {"Intent.\n-- in/a --\na\n", `no section "out" to compare with (run with -update to record it)`},
		"section nobody looked at":    {"Intent.\n-- in/a --\na\n-- out --\nA\n-- stale --\n", `section "stale" is neither read nor expected`},
		"section there twice":         {"Intent.\n-- in/a --\na\n-- in/a --\nb\n-- out --\nA\nA\n", `there are two sections "in/a"`},
		"longer than one story":       {long, "split it"},
		"output like a header":        {"Intent.\n-- in/a --\n--x--\n-- out --\n--X--\n", ""},
		"final newline does not fail": {"Intent.\n-- in/a --\na\n-- out --\nA", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := parse([]byte(c.archive))
			capitals(a)
			got := strings.Join(a.problems(false), "\n")
			if c.problem == "" && got != "" || !strings.Contains(got, c.problem) {
				t.Errorf("got %q, want %q", got, c.problem)
			}
		})
	}
}

func TestStoryFailsWhenItReadsWhatIsNotThere(t *testing.T) {
	a := parse([]byte("Intent.\n-- out --\n"))
	a.Expect("out", a.Input("in"))
	if got := strings.Join(a.problems(true), "\n"); got != `there is no section "in" to read` {
		t.Error(got)
	}
}

func TestStoryRefusesOutputThatAnArchiveCannotHold(t *testing.T) {
	a := parse([]byte("Intent.\n"))
	a.Expect("out", []byte("a\n-- b --\nc\n"))
	for _, updating := range []bool{false, true} {
		if got := strings.Join(a.problems(updating), "\n"); !strings.Contains(got, `cannot hold section "out"`) {
			t.Errorf("updating %v: %q", updating, got)
		}
	}
}

func TestUpdateRewritesExpectedSectionsOnly(t *testing.T) {
	before := "Intent, of\ntwo lines.\n\n-- in/a --\na\n-- out --\nold\n-- in/b --\nb\n"
	path := filepath.Join(t.TempDir(), "story.txtar")
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	setUpdate(t, true)
	Run(t, path, func(_ *testing.T, a *Archive) {
		capitals(a)
		a.Expect("count", []byte("2"))
	})
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "Intent, of\ntwo lines.\n\n-- in/a --\na\n-- out --\nA\nB\n-- in/b --\nb\n-- count --\n2\n"
	if string(after) != want {
		t.Errorf("got:\n%s", textdiff.Short(want, string(after)))
	}
}

func TestWithoutUpdateNothingIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "story.txtar")
	story := "Intent.\n-- in/a --\na\n-- out --\nA" // no final newline: formatting would add it
	if err := os.WriteFile(path, []byte(story), 0o600); err != nil {
		t.Fatal(err)
	}
	setUpdate(t, false)
	Run(t, path, func(_ *testing.T, a *Archive) { capitals(a) })
	if after, err := os.ReadFile(path); err != nil || string(after) != story {
		t.Errorf("got %q, %v", after, err)
	}
}

func TestDiffShowsChangesWithThreeLinesAround(t *testing.T) {
	got := textdiff.Short("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n")
	want := "  ...\n  2\n  3\n  4\n- 5\n+ five\n  6\n  7\n  8\n  9\n+ 10\n"
	if got != want {
		t.Errorf("got:\n%s", got)
	}
	if got := textdiff.Short("", "new\n"); got != "+ new\n" {
		t.Errorf("got:\n%s", got)
	}
}

func setUpdate(t *testing.T, to bool) {
	t.Helper()
	was := *update
	*update = to
	t.Cleanup(func() { *update = was })
}

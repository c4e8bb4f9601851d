package nosleep

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNoTestSleeps(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("find the root of the module: %v", err)
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		found, err := Find(path, nil)
		for _, at := range found {
			t.Errorf("%s: sleeps: poll with a deadline, wait on a channel, or use testing/synctest", strings.TrimPrefix(at, root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSleepIsFoundUnlessInABubble(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"plain":      {"package p\nimport \"time\"\nfunc f() { time.Sleep(1) }", []string{"p_test.go:3"}},
		"renamed":    {"package p\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }", []string{"p_test.go:3"}},
		"as a value": {"package p\nimport \"time\"\nvar wait = time.Sleep", []string{"p_test.go:3"}},
		"bubble":     {"package p\nimport (\"testing/synctest\"; \"time\")\nfunc f() { synctest.Test(nil, nil); time.Sleep(1) }", nil},
		"other":      {"package p\nimport \"time\"\nfunc f(bed bed) { bed.Sleep(); _ = time.Second }", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find("p_test.go", c.source)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
	if _, err := Find("p_test.go", "not Go"); err == nil {
		t.Error("got no error for a file that does not parse")
	}
}

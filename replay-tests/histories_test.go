package replaytests

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/bundle"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/golden"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// extra is a bundle of somebody else's, to refold too.
var extra = flag.String("bundle", "", "a bundle to refold besides the histories")

// largest is what a bundle here may have, in bytes: there will be many.
const largest = 100_000

// histories are the folders.
func histories(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("histories/*")
	must(t, err)
	return dirs
}

func TestThereAreHistoriesOfManyKinds(t *testing.T) {
	const least = 25
	dirs := histories(t)
	if len(dirs) < least {
		t.Errorf("there are %d histories, want %d", len(dirs), least)
	}
	for _, dir := range dirs {
		for _, name := range []string{"WHY.md", "record.txtar", "expect.txtar", "bundle.rutter", "moments"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Size() == 0 {
				t.Errorf("%s has no %s", dir, name)
			} else if info.Size() > largest {
				t.Errorf("%s/%s has %d bytes, at most %d", dir, name, info.Size(), largest)
			}
		}
		mutate(t, dir) // the line that is disabled is still there
	}
}

// TestRefolded folds every history with this build, and compares every version with
// what was published then.
func TestRefolded(t *testing.T) {
	for _, dir := range histories(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			refold(t, filepath.Join(dir, "bundle.rutter"))
		})
	}
	if *extra != "" {
		t.Run("the one that was named", func(t *testing.T) { refold(t, *extra) })
	}
}

func refold(t *testing.T, path string) {
	t.Helper()
	file, err := bundle.Open(path)
	must(t, err)
	defer file.Close()
	var streams [2]events.Stream
	for i, name := range []string{events.StreamEvents, events.StreamSnapshots} {
		streams[i], err = file.Stream(t.Context(), events.StreamConfig{Name: name})
		must(t, err)
	}
	var buckets [2]events.Bucket
	for i, name := range []string{projector.FoldBucket, routing.CheckpointBucket} {
		buckets[i], err = file.Bucket(t.Context(), name)
		must(t, err)
	}
	log, err := replay.OpenLog(t.Context(), streams[0], streams[1], buckets[0], buckets[1])
	must(t, err)
	defer log.Versions.Close()
	report, err := replay.Verify(t.Context(), log, func(replay.Report) {})
	must(t, err)
	if report.Versions == 0 {
		t.Error("no version was compared")
	}
	for _, f := range append(report.Findings, report.Previews...) {
		t.Errorf("version %s: %s: %s", f.Version, f.What, f.Detail)
	}
}

// TestHistories asks every history what its expect.txtar and answers.txtar ask, of the
// bundle: lines of the section commands, with @moment for a version.
func TestHistories(t *testing.T) {
	for _, dir := range histories(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			at := readMoments(t, dir)
			for _, file := range expectations(t, dir) {
				golden.RunFile(t, file, func(t *testing.T, a *golden.Archive) {
					var out strings.Builder
					for line := range strings.Lines(string(a.Input("commands"))) {
						line = strings.TrimSpace(line)
						typed, err := at.in(line)
						must(t, err)
						output, code := rutter(t.Context(), append(strings.Fields(typed), "--bundle", filepath.Join(dir, "bundle.rutter"))...)
						fmt.Fprintf(&out, "$ rutter %s\n%s= %d\n\n", line, output, code)
					}
					for _, section := range a.Inputs("disabled") {
						a.Input(section) // for TestMutants
					}
					a.Expect("output", []byte(strings.TrimSuffix(out.String(), "\n")))
				})
			}
		})
	}
}

// expectations are the archives of a history: answers.txtar has the questions for which
// there is no room in expect.txtar.
func expectations(t *testing.T, dir string) []string {
	t.Helper()
	files := []string{filepath.Join(dir, "expect.txtar")}
	if more := filepath.Join(dir, "answers.txtar"); exists(t, more) {
		files = append(files, more)
	}
	return files
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// TestEachHistoryIsAskedEverything holds the histories to what is expected of each: the
// routing at moments that have a name, and what explain, blame and bisect answer.
func TestEachHistoryIsAskedEverything(t *testing.T) {
	for _, dir := range histories(t) {
		asked := map[string]bool{}
		for _, file := range expectations(t, dir) {
			archive, err := txtar.ParseFile(file)
			must(t, err)
			for line := range strings.Lines(string(archive.Files[0].Data)) {
				name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
				asked[name] = true
				asked["a moment"] = asked["a moment"] || strings.Contains(rest, "@") && (name == "show" || name == "diff" || name == "explain")
			}
		}
		for _, what := range []string{"explain", "blame", "bisect", "a moment"} {
			if !asked[what] {
				t.Errorf("%s is not asked for %s", dir, what)
			}
		}
	}
}

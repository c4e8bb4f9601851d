package route

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	apifeatures "sigs.k8s.io/gateway-api/pkg/features"
)

// TestEveryFeatureIsInTheTableOfWhatShowsIt holds docs/conformance.md against the
// features of the API, and against the tests and stories that there are. Its column of
// the suite's tests is compared where the suite is, in conformance/suite.
func TestEveryFeatureIsInTheTableOfWhatShowsIt(t *testing.T) {
	const root = "../.."
	page, err := os.ReadFile(filepath.Join(root, "docs/conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	unsupported := unsupportedFeatures(t, filepath.Join(root, "conformance/reports/experimental-default-report.yaml"))
	rows := map[string]string{}
	for line := range strings.SplitSeq(string(page), "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `") {
			rows[strings.Trim(cells[1], " `")] = cells[3]
		}
	}
	exists := testsAndStories(t, root)
	quoted := regexp.MustCompile("`(Test[A-Za-z0-9]+|[a-z0-9-]+\\.txtar)`")
	for feature := range apifeatures.AllFeatures {
		name := string(feature.Name)
		if strings.HasPrefix(name, "Mesh") {
			continue
		}
		row, ok := rows[name]
		if !ok {
			t.Errorf("there is no row for %s", name)
		}
		if unsupported[name] {
			continue // what is to show it comes with it
		}
		for _, found := range quoted.FindAllStringSubmatch(row, -1) {
			if !exists[found[1]] {
				t.Errorf("%s is shown by %s, which does not exist", name, found[1])
			}
		}
	}
	for _, found := range quoted.FindAllStringSubmatch(string(page[strings.Index(string(page), "## Bad input"):]), -1) {
		if !exists[found[1]] {
			t.Errorf("the page names %s, which does not exist", found[1])
		}
	}
}

// TestEveryReasonOfTheGatewayAPIIsInAStoryOrSaidToBeNeverGiven reads the reasons from the
// source of the API, so that those of its next release are not overlooked.
func TestEveryReasonOfTheGatewayAPIIsInAStoryOrSaidToBeNeverGiven(t *testing.T) {
	const root = "../.."
	page, err := os.ReadFile(filepath.Join(root, "docs/conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, never, _ := strings.Cut(string(page), "**Reasons that are never given**")
	never, _, _ = strings.Cut(never, "\n**")
	var given strings.Builder
	// A story leaves out what is usual, and whether Envoys run it is not the projector's to say.
	for _, pattern := range []string{"projector/testdata/*.txtar", "status-writer/conditions/*_test.go"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, verdicts, story := strings.Cut(string(text), "-- verdicts --")
			if !story {
				verdicts = string(text)
			}
			given.WriteString(verdicts)
		}
	}
	// What is usual, and what goes with a feature that may not be claimed.
	elsewhere := []string{"NoConflicts", "ResolvedRefs", "AddressesAssigned", "PartiallyAssigned", "NotAssigned"}
	reasons := reasonsOfTheAPI(t)
	if len(reasons) < 40 {
		t.Fatalf("the API has only the reasons %v", reasons)
	}
	for _, reason := range reasons {
		in := regexp.MustCompile(`(?:=(?:True|False) |")` + reason + `[":]`).MatchString(given.String())
		if missing := strings.Contains(never, "`"+reason+"`"); in == missing && !slices.Contains(elsewhere, reason) {
			t.Errorf("%s: in a story %v, said to be never given %v", reason, in, missing)
		}
	}
}

// reasonsOfTheAPI are the values of the constants for reasons of conditions.
func reasonsOfTheAPI(t *testing.T) []string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "apis/v1/*_types.go"))
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^\s+[A-Za-z]+Reason[A-Za-z]+ +[A-Za-z]+ConditionReason = "([A-Za-z]+)"`)
	names := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range constant.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// unsupportedFeatures are those that a report of the suite says are not claimed.
func unsupportedFeatures(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Profiles []struct {
			Core, Extended struct{ UnsupportedFeatures []string }
		}
	}
	if err := yaml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, profile := range report.Profiles {
		for _, name := range append(profile.Core.UnsupportedFeatures, profile.Extended.UnsupportedFeatures...) {
			names[name] = true
		}
	}
	return names
}

// testsAndStories are the names of all test functions and stories.
func testsAndStories(t *testing.T, root string) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".") && path != root):
			return fs.SkipDir
		case strings.HasSuffix(path, ".txtar"):
			names[entry.Name()] = true
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, found := range function.FindAllStringSubmatch(string(text), -1) {
				names[found[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

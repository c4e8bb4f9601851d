package determinism

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// purePackages are the folders, from the root of the module, whose packages hold
// decisions and nothing else.
func purePackages() []string {
	return []string{
		"projector/fold",
		"projector/parameters",
		"projector/route",
		"projector/envoy",
		"status-writer/conditions",
		"provisioner/infra",
	}
}

func TestPurePackagesAreDeterministic(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("find the root of the module: %v", err)
	}
	for _, folder := range purePackages() {
		t.Run(folder, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(root, folder)); errors.Is(err, fs.ErrNotExist) {
				t.Skip("there is no such folder")
			}
			check(t, root, "./"+folder+"/...")
		})
	}
}

func check(t *testing.T, root, pattern string) {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{Context: t.Context(), Dir: root, Mode: packages.LoadSyntax}, pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range loaded {
		for _, problem := range pkg.Errors {
			t.Errorf("load %s: %v", pkg.PkgPath, problem)
		}
	}
	if t.Failed() {
		return
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{Analyzer()}, loaded, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range graph.Roots {
		if action.Err != nil {
			t.Errorf("check %s: %v", action.Package.PkgPath, action.Err)
		}
		for _, found := range action.Diagnostics {
			t.Errorf("%s: %s", action.Package.Fset.Position(found.Pos), found.Message)
		}
	}
}

func TestEachViolationIsFoundAndNothingElse(t *testing.T) {
	for _, seeded := range []string{"clock", "concurrent", "harmless", "imports", "maporder", "serialise", "variables"} {
		t.Run(seeded, func(t *testing.T) { analysistest.Run(t, analysistest.TestData(), Analyzer(), seeded) })
	}
}

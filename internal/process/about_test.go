package process_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/process"
)

func TestALineAboutAnObjectSaysWhich(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("a line", process.About(events.Key{Resource: events.HTTPRoutes, Namespace: "shop", Name: "r"}, 7, 2))
	const want = `"msg":"a line","resource":"httproutes","namespace":"shop","name":"r","generation":7,"retryCount":2}`
	if !strings.Contains(out.String(), want) {
		t.Errorf("got %s", &out)
	}
}

// Whoever logs a namespace logs an object.
func TestEveryLineAboutAnObjectIsMadeAlike(t *testing.T) {
	root := filepath.Join("..", "..")
	lines := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "conformance" || strings.HasPrefix(entry.Name(), ".git")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "about.go" {
			return nil
		}
		alike, others, err := linesAboutObjects(path, nil)
		for _, at := range others {
			t.Errorf("%s: is about an object: use process.About", at)
		}
		lines += alike
		return err
	})
	if err != nil || lines < 10 {
		t.Errorf("%d lines are about objects, %v", lines, err)
	}
}

// linesAboutObjects counts the calls of a logger that are made with About, and finds those
// that name a namespace of their own.
func linesAboutObjects(path string, src any) (alike int, others []string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
	if err != nil {
		return 0, nil, err
	}
	for node := range ast.Preorder(file) {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			continue
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs", "With"}, strings.TrimSuffix(selector.Sel.Name, "Context")) {
			continue
		}
		for _, argument := range call.Args {
			for inside := range ast.Preorder(argument) {
				switch n := inside.(type) {
				case *ast.BasicLit:
					if n.Value == `"namespace"` {
						others = append(others, files.Position(call.Pos()).String())
					}
				case *ast.SelectorExpr:
					if n.Sel.Name == "About" {
						alike++
					}
				}
			}
		}
	}
	return alike, others, nil
}

func TestALineThatIsMadeOtherwiseIsFound(t *testing.T) {
	const source = `package p
func f(l *slog.Logger) {
	l.Warn("x", "resource", "r", "namespace", "n")
	l.ErrorContext(ctx, "x", slog.String("namespace", "n"))
	l.With(process.About(k, 1, 0)).Info("y")
	flags.StringVar(&n, "namespace", "", "")
}`
	if alike, others, err := linesAboutObjects("p.go", source); err != nil || alike != 1 || !slices.Equal(others, []string{"p.go:3:2", "p.go:4:2"}) {
		t.Errorf("got %d, %v, %v", alike, others, err)
	}
}

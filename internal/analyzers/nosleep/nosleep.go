// Package nosleep checks that no test waits by sleeping: such a test is slow where
// the machine is fast, and fails where it is slow.
//
//	source of a test file ──Find──► the lines that call time.Sleep
//
// A file that imports testing/synctest may sleep, since there it costs no time and
// races with nothing. The check looks at names only and does not follow calls.
package nosleep

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
)

// Find is the positions, as file:line, at which a Go file names time.Sleep; none
// when it imports testing/synctest. src is as in [parser.ParseFile].
func Find(path string, src any) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	timePackage := ""
	for _, spec := range file.Imports {
		switch spec.Path.Value {
		case `"testing/synctest"`:
			return nil, nil
		case `"time"`:
			timePackage = "time"
			if spec.Name != nil {
				timePackage = spec.Name.Name
			}
		}
	}
	var found []string
	for node := range ast.Preorder(file) {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok || selector.Sel.Name != "Sleep" {
			continue
		}
		if id, ok := selector.X.(*ast.Ident); ok && id.Name == timePackage {
			at := files.Position(selector.Pos())
			found = append(found, fmt.Sprintf("%s:%d", at.Filename, at.Line))
		}
	}
	return found, nil
}

package determinism

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const excusePrefix = "//determinism:"

// excuses are the comments of one file that excuse a loop, by the line that each
// ends on. One that excuses nothing is reported, so that none outlives its loop.
type excuses struct {
	byLine map[int]*excuse
}

type excuse struct {
	pos    token.Pos
	reason string
	used   bool
}

func findExcuses(pass *analysis.Pass, file *ast.File) *excuses {
	found := &excuses{byLine: map[int]*excuse{}}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if reason, ok := strings.CutPrefix(comment.Text, excusePrefix); ok {
				found.byLine[pass.Fset.Position(group.End()).Line] = &excuse{pos: comment.Pos(), reason: strings.TrimSpace(reason)}
			}
		}
	}
	return found
}

// cover tells whether a comment on the line of the loop, or ending on the line
// above it, excuses it.
func (e *excuses) cover(pass *analysis.Pass, loop *ast.RangeStmt) bool {
	line := pass.Fset.Position(loop.Pos()).Line
	for _, at := range []int{line, line - 1} {
		if found := e.byLine[at]; found != nil {
			found.used = true
			if found.reason == "" {
				pass.Reportf(loop.Pos(), "the comment %s gives no reason", excusePrefix)
			}
			return true
		}
	}
	return false
}

func (e *excuses) reportUnused(pass *analysis.Pass) {
	for _, line := range slices.Sorted(maps.Keys(e.byLine)) {
		excuse := e.byLine[line]
		if !excuse.used {
			pass.Reportf(excuse.pos, "the comment %s excuses no loop over a map", excusePrefix)
		}
	}
}

package determinism

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

// overMap tells whether a loop over e iterates in the order of a map.
func overMap(info *types.Info, e ast.Expr) bool {
	if _, ok := info.TypeOf(e).Underlying().(*types.Map); ok {
		return true
	}
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	return ok && isMapIterator(info, call)
}

func isMapIterator(info *types.Info, call *ast.CallExpr) bool {
	return slices.Contains([]string{"maps.All", "maps.Keys", "maps.Values"}, callee(info, call))
}

// checkIterator reports an iterator over a map that is neither looped over
// (which checkLoop sees) nor sorted, nor made into a map.
func checkIterator(pass *analysis.Pass, file *ast.File, iterator *ast.CallExpr) {
	info := pass.TypesInfo
	if !isMapIterator(info, iterator) {
		return
	}
	for node := range ast.Preorder(file) {
		switch outer := node.(type) {
		case *ast.RangeStmt:
			if outer.X == iterator {
				return
			}
		case *ast.AssignStmt:
			if len(outer.Lhs) == 1 && len(outer.Rhs) == 1 && collects(info, outer.Rhs[0], iterator) &&
				isSortedAfter(info, enclosingFunc(file, outer.Pos()), outer.End(), types.ExprString(outer.Lhs[0])) {
				return
			}
		case *ast.CallExpr:
			if slices.Contains(outer.Args, ast.Expr(iterator)) && takesAnyOrder(callee(info, outer)) {
				return
			}
		}
	}
	pass.Reportf(iterator.Pos(), "%s iterates in the order of a map: sort it at once, as in slices.Sorted(maps.Keys(m))", callee(info, iterator))
}

func takesAnyOrder(function string) bool {
	return slices.Contains([]string{
		"slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc", "maps.Collect", "maps.Insert",
	}, function)
}

// collects recognises slices.Collect(iterator) and slices.AppendSeq(s, iterator).
func collects(info *types.Info, e ast.Expr, iterator *ast.CallExpr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && slices.Contains(call.Args, ast.Expr(iterator)) &&
		slices.Contains([]string{"slices.Collect", "slices.AppendSeq"}, callee(info, call))
}

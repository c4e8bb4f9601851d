package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// isSortedAfter tells whether the first thing that a function does after a
// position with the slice called name (but append to it, or ask for its length)
// is to sort it.
func isSortedAfter(info *types.Info, function ast.Node, after token.Pos, name string) bool {
	ignored := map[ast.Expr]bool{}
	for node := range ast.Preorder(function) {
		if assign, ok := node.(*ast.AssignStmt); ok && isAppend(info, assign) {
			ignored[assign.Lhs[0]] = true
			ignored[assign.Rhs[0].(*ast.CallExpr).Args[0]] = true
		}
		e, ok := node.(ast.Expr)
		if !ok || e.Pos() < after || ignored[e] {
			continue
		}
		if call, isCall := e.(*ast.CallExpr); isCall && len(call.Args) > 0 && types.ExprString(call.Args[0]) == name {
			if isBuiltin(info, call.Fun, "len") {
				ignored[call.Args[0]] = true
			} else if !ignored[call.Args[0]] {
				return isSort(callee(info, call))
			}
		} else if types.ExprString(e) == name {
			return false
		}
	}
	return false
}

// isAppend recognises s = append(s, ...) and s = slices.AppendSeq(s, ...).
func isAppend(info *types.Info, assign *ast.AssignStmt) bool {
	if len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
		return false
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	return ok && len(call.Args) > 0 &&
		types.ExprString(call.Args[0]) == types.ExprString(assign.Lhs[0]) &&
		(isBuiltin(info, call.Fun, "append") || callee(info, call) == "slices.AppendSeq")
}

func isSort(function string) bool {
	return slices.Contains([]string{
		"slices.Sort", "slices.SortFunc", "slices.SortStableFunc",
		"sort.Ints", "sort.Slice", "sort.SliceStable", "sort.Strings",
	}, function)
}

// callee is the full name of the function that is called, "" for other calls.
func callee(info *types.Info, call *ast.CallExpr) string {
	fun := ast.Unparen(call.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X // an instantiation, such as slices.Sorted[string]
	}
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return ""
	}
	if f, ok := info.Uses[id].(*types.Func); ok {
		return f.FullName()
	}
	return ""
}

func isBuiltin(info *types.Info, function ast.Expr, name string) bool {
	id, ok := ast.Unparen(function).(*ast.Ident)
	if !ok || id.Name != name {
		return false
	}
	_, ok = info.Uses[id].(*types.Builtin)
	return ok
}

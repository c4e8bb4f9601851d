package determinism

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// checkWrites reports a node that changes a package variable: this package's or
// another's. Tables that are only read are fine.
func checkWrites(pass *analysis.Pass, node ast.Node) {
	for _, e := range written(pass.TypesInfo, node) {
		v, ok := objectOf(pass.TypesInfo, e).(*types.Var)
		if ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
			pass.Reportf(e.Pos(), "changes package variable %s", v.Name())
		}
	}
}

// checkExportedVariables reports the package variables that any other package may
// assign. Exported error values are fine: everybody leaves them alone.
func checkExportedVariables(pass *analysis.Pass) {
	scope := pass.Pkg.Scope()
	for _, name := range scope.Names() {
		v, ok := scope.Lookup(name).(*types.Var)
		isError := ok && types.Identical(v.Type(), types.Universe.Lookup("error").Type())
		if ok && v.Exported() && !isError {
			pass.Reportf(v.Pos(), "exported package variable %s can be changed from outside", name)
		}
	}
}

// written are the expressions that a node assigns to, or whose address it takes.
func written(info *types.Info, node ast.Node) []ast.Expr {
	switch node := node.(type) {
	case *ast.AssignStmt:
		if node.Tok != token.DEFINE {
			return node.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{node.X}
	case *ast.RangeStmt:
		if node.Tok == token.ASSIGN {
			return []ast.Expr{node.Key, node.Value}
		}
	case *ast.UnaryExpr:
		if node.Op == token.AND {
			return []ast.Expr{node.X}
		}
	case *ast.CallExpr:
		return writtenByCall(info, node)
	}
	return nil
}

// writtenByCall is the first argument of delete, clear and copy, and the
// receiver of a method that takes the address of a variable which is not itself
// a pointer. (A method on a pointer is let through, for *regexp.Regexp.)
func writtenByCall(info *types.Info, call *ast.CallExpr) []ast.Expr {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		_, builtin := info.Uses[fun].(*types.Builtin)
		if builtin && (fun.Name == "delete" || fun.Name == "clear" || fun.Name == "copy") {
			return call.Args[:1]
		}
	case *ast.SelectorExpr:
		selection := info.Selections[fun]
		if selection == nil || selection.Kind() != types.MethodVal {
			return nil
		}
		receiver := selection.Obj().(*types.Func).Signature().Recv().Type()
		_, byPointer := receiver.(*types.Pointer)
		_, isPointer := selection.Recv().(*types.Pointer)
		if byPointer && !isPointer {
			return []ast.Expr{fun.X}
		}
	}
	return nil
}

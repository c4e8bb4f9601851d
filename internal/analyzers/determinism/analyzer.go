package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer is the check, for one package and without its test files.
func Analyzer() *analysis.Analyzer {
	return &analysis.Analyzer{
		Name: "determinism",
		Doc:  "report what can make a pure package give two results for one input",
		Run:  run,
	}
}

func run(pass *analysis.Pass) (any, error) {
	checkExportedVariables(pass)
	for _, file := range pass.Files {
		if !strings.HasSuffix(pass.Fset.File(file.Pos()).Name(), "_test.go") {
			checkFile(pass, file)
		}
	}
	return nil, nil
}

func checkFile(pass *analysis.Pass, file *ast.File) {
	checkImports(pass, file)
	excuses := findExcuses(pass, file)
	for node := range ast.Preorder(file) {
		checkWrites(pass, node)
		switch node := node.(type) {
		case *ast.GoStmt:
			pass.Reportf(node.Pos(), "starts a goroutine")
		case *ast.SelectStmt:
			pass.Reportf(node.Pos(), "selects among channels")
		case *ast.Ident:
			checkUse(pass, node)
		case *ast.CallExpr:
			checkIterator(pass, file, node)
		case *ast.RangeStmt:
			if overMap(pass.TypesInfo, node.X) && !excuses.cover(pass, node) {
				checkLoop(pass, enclosingFunc(file, node.Pos()), node)
			}
		}
	}
	excuses.reportUnused(pass)
}

// enclosingFunc is the body of the innermost function around pos.
func enclosingFunc(file *ast.File, pos token.Pos) *ast.BlockStmt {
	var innermost *ast.BlockStmt
	for node := range ast.Preorder(file) {
		var body *ast.BlockStmt
		switch f := node.(type) {
		case *ast.FuncDecl:
			body = f.Body
		case *ast.FuncLit:
			body = f.Body
		}
		if body != nil && body.Pos() <= pos && pos < body.End() {
			innermost = body
		}
	}
	return innermost
}

// objectOf is the object that an expression like x, x.f, x[i] or *x is a part of:
// that of x. It is nil where there is no such name, as in f().y.
func objectOf(info *types.Info, e ast.Expr) types.Object {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return info.ObjectOf(x)
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if _, isPackage := info.ObjectOf(id).(*types.PkgName); isPackage {
					return info.ObjectOf(x.Sel)
				}
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

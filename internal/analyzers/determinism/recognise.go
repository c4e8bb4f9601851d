package determinism

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
)

// isLocal tells whether e is (part of) a variable that is new in each iteration.
// What a pointer leads to may be shared; so may a slice or a map, unless the
// variable was made in the loop.
func (b *body) isLocal(e ast.Expr) bool {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			return b.isDeclaredInLoop(x)
		case *ast.SelectorExpr:
			if _, ok := b.info.TypeOf(x.X).Underlying().(*types.Struct); !ok {
				return false
			}
			e = x.X
		case *ast.IndexExpr:
			id, ok := x.X.(*ast.Ident)
			return ok && b.isDeclaredInLoop(id) && b.isMadeInLoop(id)
		default:
			return false
		}
	}
}

func (b *body) isDeclaredInLoop(id *ast.Ident) bool {
	object := b.info.ObjectOf(id)
	return object != nil && b.loop.Body.Pos() <= object.Pos() && object.Pos() < b.loop.Body.End()
}

// isMadeInLoop: its declaration in the loop is x := make(...), or a literal.
func (b *body) isMadeInLoop(id *ast.Ident) bool {
	for node := range ast.Preorder(b.loop.Body) {
		define, ok := node.(*ast.AssignStmt)
		if !ok || len(define.Lhs) != 1 || len(define.Rhs) != 1 {
			continue
		}
		name, ok := define.Lhs[0].(*ast.Ident)
		if !ok || b.info.Defs[name] == nil || b.info.Defs[name] != b.info.ObjectOf(id) {
			continue
		}
		switch made := define.Rhs[0].(type) {
		case *ast.CompositeLit:
			return true
		case *ast.CallExpr:
			return isBuiltin(b.info, made.Fun, "make")
		}
	}
	return false
}

// isConstant: a constant, nil, or an empty composite literal.
func (b *body) isConstant(e ast.Expr) bool {
	value := b.info.Types[e]
	literal, ok := ast.Unparen(e).(*ast.CompositeLit)
	return value.Value != nil || value.IsNil() || ok && len(literal.Elts) == 0
}

// isOwnSlot recognises a slot of a map where no other iteration writes: m[k], with
// k the key of the loop, a conversion of it or a literal that has it as one
// element; and what lies below, as in m[k][i].
func (b *body) isOwnSlot(e ast.Expr) bool {
	index, ok := ast.Unparen(e).(*ast.IndexExpr)
	if !ok {
		return false
	}
	if b.isOwnSlot(index.X) {
		return true
	}
	if _, isMap := b.info.TypeOf(index.X).Underlying().(*types.Map); !isMap {
		return false
	}
	switch k := ast.Unparen(index.Index).(type) {
	case *ast.CallExpr:
		return b.info.Types[k.Fun].IsType() && b.isKey(k.Args[0])
	case *ast.CompositeLit:
		return slices.ContainsFunc(k.Elts, b.isKeyElement)
	default:
		return b.isKey(index.Index)
	}
}

func (b *body) isKeyElement(e ast.Expr) bool {
	if pair, ok := e.(*ast.KeyValueExpr); ok {
		return b.isKey(pair.Value)
	}
	return b.isKey(e)
}

// isCallOn recognises function(e, ...), such as append(s, ...), for a builtin function.
func (b *body) isCallOn(call, e ast.Expr, function string) bool {
	c, ok := ast.Unparen(call).(*ast.CallExpr)
	if !ok || !isBuiltin(b.info, c.Fun, function) {
		return false
	}
	for i, arg := range c.Args {
		if types.ExprString(arg) == types.ExprString(e) && (i == 0 || function != "append") {
			b.own[arg] = true
			return true
		}
	}
	return false
}

// readTarget is a variable that the loop both changes and reads elsewhere than
// in the slot of its own key; or "".
func (b *body) readTarget() string {
	own := maps.Clone(b.own)
	for node := range ast.Preorder(b.loop.Body) {
		if index, ok := node.(*ast.IndexExpr); ok && b.isKey(index.Index) {
			own[index.X] = true
		}
		e, ok := node.(ast.Expr)
		if !ok || own[e] {
			continue
		}
		if _, target := b.targets[types.ExprString(e)]; target {
			return types.ExprString(e)
		}
	}
	return ""
}

func (b *body) isKey(e ast.Expr) bool {
	id, ok := ast.Unparen(e).(*ast.Ident)
	key, named := b.loop.Key.(*ast.Ident)
	return ok && named && !isBlank(key) && b.info.ObjectOf(id) == b.info.ObjectOf(key)
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return e == nil || ok && id.Name == "_"
}

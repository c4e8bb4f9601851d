package determinism

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"

	"golang.org/x/tools/go/analysis"
)

// checkLoop reports a loop over a map unless its result is seen to be the same in
// any order. What a loop may do:
//
//   - delete from a map; put constants into a variable or a map
//   - fill the slots of another map that belong to its own key
//   - count and sum integers; take the min or max
//   - append to slices that are sorted before they are used
//   - return one constant, or break, where it does nothing else that lasts
//
// and anything with variables that are new in each iteration. It must not read
// what other iterations may have written.
func checkLoop(pass *analysis.Pass, function *ast.BlockStmt, loop *ast.RangeStmt) {
	if isBlank(loop.Key) && isBlank(loop.Value) {
		return // one iteration is like another
	}
	b := &body{info: pass.TypesInfo, loop: loop, targets: map[string]string{}, own: map[ast.Expr]bool{}}
	if why := b.check(); why != nil {
		pass.Reportf(loop.Pos(), "the order of iteration over a map matters: %s; sort the keys first, or say %s <reason>", why.reason, excusePrefix)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(b.targets)) {
		if b.targets[name] == "append" && !isSortedAfter(b.info, function, loop.End(), name) {
			pass.Reportf(loop.Pos(), "collects %s in the order of a map and does not sort it right after", name)
		}
	}
}

// body decides whether a loop over a map gives the same result in any order.
type body struct {
	info *types.Info
	loop *ast.RangeStmt
	// targets are the variables that outlive an iteration and that the loop
	// changes, as written in the source and without index, with how it does so.
	targets map[string]string
	// own are the mentions of targets that are part of changing them.
	own map[ast.Expr]bool
	// lasting: something is left behind that depends on which iterations ran.
	lasting bool
	// exits: an iteration may be the last one; results are what it returns then.
	exits   bool
	results []string
	// inner is how many loops and switches inside the loop a break would leave.
	inner int
}

// objection is why the order matters; nil means that it does not.
type objection struct{ reason string }

func because(reason string) *objection { return &objection{reason} }

func (b *body) check() *objection {
	if why := b.list(b.loop.Body.List); why != nil {
		return why
	}
	if b.exits && b.lasting {
		return because("it stops early and leaves behind what it did so far")
	}
	if len(b.results) > 1 {
		return because("it returns what it happens to find first")
	}
	if name := b.readTarget(); name != "" {
		return because("it reads " + name + ", which other iterations change")
	}
	return nil
}

func (b *body) list(list []ast.Stmt) *objection {
	for _, s := range list {
		if why := b.stmt(s); why != nil {
			return why
		}
	}
	return nil
}

func (b *body) stmt(stmt ast.Stmt) *objection {
	switch s := stmt.(type) {
	case nil, *ast.EmptyStmt, *ast.DeclStmt:
		return nil
	case *ast.BlockStmt:
		return b.list(s.List)
	case *ast.LabeledStmt:
		return b.stmt(s.Stmt)
	case *ast.IfStmt:
		return b.list([]ast.Stmt{s.Init, s.Body, s.Else})
	case *ast.CaseClause:
		return b.list(s.Body)
	case *ast.ForStmt:
		return b.nested(s.Init, s.Post, s.Body)
	case *ast.RangeStmt:
		return b.nested(s.Body)
	case *ast.SwitchStmt:
		return b.nested(s.Init, s.Body)
	case *ast.TypeSwitchStmt:
		return b.nested(s.Init, s.Body)
	case *ast.IncDecStmt:
		return b.assignOne(s.X, token.ADD_ASSIGN, nil)
	case *ast.AssignStmt:
		return b.assign(s)
	case *ast.ExprStmt:
		return b.call(s)
	case *ast.ReturnStmt:
		return b.returns(s)
	case *ast.BranchStmt:
		return b.branch(s)
	default:
		return because("it does more than collect, delete, count or fill a map")
	}
}

func (b *body) nested(list ...ast.Stmt) *objection {
	b.inner++
	defer func() { b.inner-- }()
	return b.list(list)
}

func (b *body) branch(s *ast.BranchStmt) *objection {
	if s.Tok == token.GOTO {
		return because("it jumps")
	}
	if s.Tok == token.BREAK && (b.inner == 0 || s.Label != nil) {
		b.exits = true
	}
	return nil
}

// call allows delete: deleting twice, or in another order, leaves the same map.
func (b *body) call(s *ast.ExprStmt) *objection {
	if call, ok := s.X.(*ast.CallExpr); ok && isBuiltin(b.info, call.Fun, "delete") {
		b.lasting = true
		return b.change(call.Args[0], "delete")
	}
	return because("it calls a function for its effect")
}

// returns allows constant results, as in a search for any match.
func (b *body) returns(s *ast.ReturnStmt) *objection {
	text := "return"
	for _, e := range s.Results {
		if !b.isConstant(e) {
			return because("it returns what it happens to find first")
		}
		text += " " + types.ExprString(e)
	}
	b.exits = true
	if !slices.Contains(b.results, text) {
		b.results = append(b.results, text)
	}
	return nil
}

func (b *body) assign(s *ast.AssignStmt) *objection {
	if s.Tok == token.DEFINE {
		return nil // := in the loop makes variables of the iteration
	}
	for i, left := range s.Lhs {
		var right ast.Expr
		if len(s.Lhs) == len(s.Rhs) {
			right = s.Rhs[i]
		}
		if why := b.assignOne(left, s.Tok, right); why != nil {
			return why
		}
	}
	return nil
}

func (b *body) assignOne(left ast.Expr, op token.Token, right ast.Expr) *objection {
	if isBlank(left) || b.isLocal(left) {
		return nil
	}
	_, indexed := ast.Unparen(left).(*ast.IndexExpr)
	switch {
	case op != token.ASSIGN:
		return b.accumulate(left, op)
	case right != nil && b.isConstant(right):
		b.lasting = b.lasting || indexed
		return b.change(left, types.ExprString(right))
	}
	b.lasting = true
	switch {
	case right == nil:
		return because("it keeps what it happens to see last")
	case b.isOwnSlot(left):
		return b.change(left, "own slot")
	case b.isCallOn(right, left, "min"):
		return b.change(left, "min")
	case b.isCallOn(right, left, "max"):
		return b.change(left, "max")
	case !indexed && b.isCallOn(right, left, "append"):
		return b.change(left, "append")
	default:
		return because("it keeps what it happens to see last")
	}
}

// accumulate allows counting and summing of integers: floating-point addition is
// not associative, and strings keep their order.
func (b *body) accumulate(left ast.Expr, op token.Token) *objection {
	b.lasting = true
	basic, ok := b.info.TypeOf(left).Underlying().(*types.Basic)
	if !ok || basic.Info()&types.IsInteger == 0 {
		return because("only integers add up to the same in any order")
	}
	switch op {
	case token.ADD_ASSIGN, token.SUB_ASSIGN:
		return b.change(left, "sum")
	case token.MUL_ASSIGN, token.OR_ASSIGN, token.AND_ASSIGN, token.XOR_ASSIGN:
		return b.change(left, op.String())
	default:
		return because("the result of " + op.String() + " depends on order")
	}
}

// change notes that the loop changes e, and how: two ways do not mix.
func (b *body) change(e ast.Expr, how string) *objection {
	e = ast.Unparen(e)
	for {
		b.own[e] = true
		index, ok := e.(*ast.IndexExpr)
		if !ok {
			break
		}
		e = ast.Unparen(index.X)
	}
	name := types.ExprString(e)
	if before, ok := b.targets[name]; ok && before != how {
		return because("it changes " + name + " in more than one way")
	}
	b.targets[name] = how
	return nil
}

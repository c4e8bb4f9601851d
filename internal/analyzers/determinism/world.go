package determinism

import (
	"go/ast"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// forbiddenImports are the packages that a pure package does not import, nor
// what lies below them.
func forbiddenImports() []string {
	return []string{
		"context",
		"crypto/rand",
		"log",
		"math/rand",
		"net/http",
		"os",
		"runtime",
		"sync",
		"syscall",
		"unsafe",
		"github.com/nats-io",
		"github.com/synadia-io/orbit.go",
		"k8s.io/client-go",
	}
}

// forbiddenUses are functions, methods and variables, each with the reason.
func forbiddenUses() map[string]string {
	const clock = "reads the clock: the time of an event is the time"
	const zone = "depends on the machine's time zone"
	const order = "orders map fields at random: use proto.MarshalOptions{Deterministic: true}"
	const unstable = "is unstable by design: its output differs between builds"
	return map[string]string{
		"time.Now":       clock,
		"time.Since":     clock,
		"time.Until":     clock,
		"time.After":     clock,
		"time.AfterFunc": clock,
		"time.NewTicker": clock,
		"time.NewTimer":  clock,
		"time.Sleep":     clock,
		"time.Tick":      clock,

		"time.Local":        zone,
		"time.LoadLocation": zone,
		"(time.Time).Local": zone,

		"google.golang.org/protobuf/proto.Marshal":                               order,
		"google.golang.org/protobuf/types/known/anypb.New":                       order,
		"(*google.golang.org/protobuf/types/known/anypb.Any).MarshalFrom":        order,
		"google.golang.org/protobuf/encoding/protojson.Marshal":                  unstable,
		"google.golang.org/protobuf/encoding/protojson.Format":                   unstable,
		"google.golang.org/protobuf/encoding/prototext.Marshal":                  unstable,
		"google.golang.org/protobuf/encoding/prototext.Format":                   unstable,
		"(google.golang.org/protobuf/encoding/protojson.MarshalOptions).Marshal": unstable,
		"(google.golang.org/protobuf/encoding/prototext.MarshalOptions).Marshal": unstable,
	}
}

func checkImports(pass *analysis.Pass, file *ast.File) {
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // does not compile, which is reported elsewhere
		}
		for _, forbidden := range forbiddenImports() {
			if path == forbidden || strings.HasPrefix(path, forbidden+"/") {
				pass.Reportf(spec.Pos(), "imports %s", path)
			}
		}
	}
}

func checkUse(pass *analysis.Pass, id *ast.Ident) {
	name := ""
	switch object := pass.TypesInfo.Uses[id].(type) {
	case *types.Func:
		name = object.FullName()
	case *types.Var:
		if object.Pkg() != nil && object.Parent() == object.Pkg().Scope() {
			name = object.Pkg().Path() + "." + object.Name()
		}
	}
	if why := forbiddenUses()[name]; why != "" {
		pass.Reportf(id.Pos(), "%s %s", name, why)
	}
}

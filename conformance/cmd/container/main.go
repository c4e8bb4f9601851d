// Container is the first thing that runs in each container of the test cluster: it
// prepares what the program inside will see, and becomes that program. It is a command
// of its own so that it is small and starts fast. See the package sandbox.
package main

import (
	"os"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

func main() { os.Exit(sandbox.Main(os.Args[1:])) }

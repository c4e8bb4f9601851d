// Package imports reaches for the world.
package imports

import (
	_ "context"     // want `imports context`
	_ "crypto/rand" // want `imports crypto/rand`
	_ "crypto/sha256"
	_ "log/slog"     // want `imports log/slog`
	_ "math/rand"    // want `imports math/rand`
	_ "math/rand/v2" // want `imports math/rand/v2`
	_ "net/http"     // want `imports net/http`
	_ "net/netip"
	_ "os"          // want `imports os`
	_ "os/exec"     // want `imports os/exec`
	_ "sync/atomic" // want `imports sync/atomic`

	_ "github.com/nats-io/nats.go"  // want `imports github.com/nats-io/nats.go`
	_ "k8s.io/client-go/kubernetes" // want `imports k8s.io/client-go/kubernetes`
)

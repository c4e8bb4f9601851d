package xdsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/receipts"
)

// Snapshots reads the versions of the routing, oldest first and then live. The
// first may be a whole one. [routing.Follower] is one.
type Snapshots interface {
	// Next waits for at least one version.
	Next(ctx context.Context) ([]*routing.Snapshot, error)
	Close()
}

// Endpoints is the stream ENDPOINTS. [events.Stream] is one.
type Endpoints interface {
	Info(ctx context.Context) (events.StreamInfo, error)
	Reader(from uint64) events.Reader
}

// Log is what a server reads and writes.
type Log struct {
	// Snapshots begins to read, at or before any version; it is called again
	// after an error.
	Snapshots func(ctx context.Context) (Snapshots, error)
	Endpoints Endpoints
	// Receipts appends to RECEIPTS. [events.Stream] does.
	Receipts receipts.Publisher
}

// Config of a [Server]. Optional are Identity, LocalCopy, TLS, Observer, MaxStreams and CopyEvery.
type Config struct {
	// Listener is where Envoys connect; Run closes it.
	Listener net.Listener
	// TLS protects the connections. Without it private keys travel in clear: for a
	// unix socket or loopback only.
	TLS *tls.Config
	// Name is this server in receipts, the same after a restart; Cluster is whose
	// streams are read.
	Name, Cluster string
	// Open opens the log. It is called until it succeeds; meanwhile the local copy
	// is served.
	Open func(ctx context.Context) (Log, error)
	// Identity unseals private keys. Without it, secrets that have one are not served.
	Identity age.Identity
	// LocalCopy is a directory that outlives this process and belongs to it alone.
	LocalCopy string
	// CopyEvery is the least time between two local copies; 5 s when zero.
	CopyEvery time.Duration
	// MaxStreams bounds the Envoys that are served at a time; 2,000 when zero.
	MaxStreams int
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Observer is told of each change of what an Envoy holds. It must not block.
	Observer func(routing.EnvoyReceipt)
}

const defaultCopyEvery = 5 * time.Second

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Listener == nil:
		return c, errors.New("xds-server: a listener is required")
	case c.Name == "" || c.Cluster == "":
		return c, errors.New("xds-server: a name and a cluster are required")
	case c.Open == nil || c.Logger == nil || c.Registerer == nil:
		return c, errors.New("xds-server: a log, a logger and a registerer are required")
	}
	if c.CopyEvery == 0 {
		c.CopyEvery = defaultCopyEvery
	}
	return c, nil
}

package xdsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/xds-server/internal/receipts"
)

// Snapshots reads the versions of the routing, oldest first and then live. The
// first may be a whole one. [routing.Follower] is one.
type Snapshots interface {
	// Load is the newest version there is; its Version is zero where there is none.
	Load(ctx context.Context) (*routing.State, error)
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
	// Heartbeats repeats receipts to those who listen; nil where nobody does.
	// [events.Log] does.
	Heartbeats receipts.Announcer
	// Measured are the streams, by name, of which is told how far the server is
	// behind them; none where nobody asks.
	Measured map[string]process.Measured
}

// Config of a [Server]. Optional are Identity, LocalCopy, TLS (on this machine),
// Observer, MaxStreams, CopyEvery and CopyPatience.
type Config struct {
	// Listener is where Envoys connect; Run closes it.
	Listener net.Listener
	// TLS protects the connections; [TLS] makes one. The certificate of an Envoy must
	// name its Gateway. Without it private keys travel in clear, to whoever asks: then
	// the listener must be on a unix socket or on loopback.
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
	// CopyPatience is how long to wait for the log before the local copy is served;
	// 2 s when zero.
	CopyPatience time.Duration
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
	case c.TLS == nil && !local(c.Listener.Addr()):
		return c, fmt.Errorf("xds-server: without TLS it listens only on loopback or a unix socket, not on %s", c.Listener.Addr())
	}
	if c.CopyEvery == 0 {
		c.CopyEvery = defaultCopyEvery
	}
	if c.CopyPatience == 0 {
		c.CopyPatience = copyPatience
	}
	return c, nil
}

// local tells whether only this machine can connect to an address.
func local(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

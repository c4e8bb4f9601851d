package xdsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/receipts"
	"github.com/rutter-gateway/rutter/xds-server/internal/serve"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// Server is one xDS server. Make it with [New].
type Server struct {
	config    Config
	store     *store.Store
	endpoints *endpointsFollower
	ledger    *receipts.Ledger
	serve     *serve.Server
	metrics   *metrics
	progress  *progress
}

// New checks c and loads the local copy. One that is damaged is reported and
// ignored: serving then waits for the log.
func New(c Config) (*Server, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, store: store.New(), progress: newProgress(events.StreamSnapshots, events.StreamEndpoints)}
	if s.metrics, err = newMetrics(c.Registerer); err != nil {
		return nil, fmt.Errorf("xds-server: register metrics: %w", err)
	}
	s.ledger, err = receipts.New(receipts.Config{Server: c.Name, Cluster: c.Cluster, Logger: c.Logger, Observer: c.Observer})
	if err != nil {
		return nil, err
	}
	s.serve, err = serve.New(serve.Config{
		Store: s.store, Keys: store.Keys{Identity: c.Identity}, Ledger: s.ledger,
		Logger: c.Logger, Registerer: c.Registerer, MaxStreams: c.MaxStreams,
		Acknowledged: s.metrics.acknowledged,
	})
	if err != nil {
		return nil, err
	}
	s.endpoints, err = newEndpointsFollower(s.store, c, func() { s.progress.reached(events.StreamEndpoints) })
	if err != nil {
		return nil, err
	}
	if err := s.loadCopy(); err != nil {
		c.Logger.Error("local copy is ignored", slog.Any("error", err))
	}
	return s, nil
}

// Reasons for which a server is not ready.
var (
	errNoVersion   = errors.New("no version of the routing is known yet")
	errNoEndpoints = errors.New("no list of endpoints is complete yet")
)

// Ready is nil when there is a whole version to serve, and endpoints with it: from
// the log or from the local copy. Otherwise it is the reason why not.
func (s *Server) Ready() error {
	switch {
	case s.Version().IsZero():
		return errNoVersion
	case !s.endpoints.synced():
		return errNoEndpoints
	}
	return nil
}

// Version is the version of the routing that is served; zero before the first.
func (s *Server) Version() events.Version { return s.store.Version() }

// Run serves until ctx ends or the listener fails. On the way out the streams
// are closed, and then an empty receipt and a last local copy are written.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { s.keepCopies(ctx) })
	var log *Log
	background.Go(func() { log = s.useLog(ctx) })
	if s.Ready() == nil {
		s.progress.wait(ctx, s.config.CopyPatience)
	}

	server := grpc.NewServer(s.options()...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, s.serve)
	background.Go(func() {
		<-ctx.Done()
		server.Stop()
	})
	err := server.Serve(s.config.Listener)
	stopped := ctx.Err() != nil
	cancel()
	background.Wait()
	s.serve.Wait()
	s.sayGoodbye(ctx, log)
	if err != nil && !stopped {
		return fmt.Errorf("serve xDS on %s: %w", s.config.Listener.Addr(), err)
	}
	return nil
}

func (s *Server) options() []grpc.ServerOption {
	options := serve.Options()
	if s.config.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.config.TLS)))
	}
	return options
}

// sayGoodbye records that no Envoy is connected here any more.
func (s *Server) sayGoodbye(ctx context.Context, log *Log) {
	if log == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.ledger.Publish(ctx, log.Receipts); err != nil {
		s.config.Logger.Warn("last receipt is not recorded", slog.String("stream", events.StreamReceipts), slog.Any("error", err))
	}
}

// useLog opens the log, and then reads and writes it until ctx ends. It returns
// the log, nil where it could not be opened.
func (s *Server) useLog(ctx context.Context) *Log {
	var log Log
	s.retry(ctx, func() (err error) {
		log, err = s.config.Open(ctx)
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		s.follow(ctx, events.StreamSnapshots, func() error { return s.followSnapshots(ctx, log.Snapshots) })
	})
	readers.Go(func() {
		s.follow(ctx, events.StreamEndpoints, func() error { return s.endpoints.follow(ctx, log.Endpoints) })
	})
	readers.Go(func() { s.ledger.Run(ctx, log.Receipts) })
	if log.Heartbeats != nil {
		readers.Go(func() { s.ledger.Repeat(ctx, log.Heartbeats) })
	}
	read := map[string]func() uint64{events.StreamSnapshots: s.metrics.read.Load, events.StreamEndpoints: s.endpoints.sequence}
	for name, stream := range log.Measured {
		readers.Go(func() { s.metrics.lag.Measure(ctx, name, stream, read[name]) })
	}
	readers.Wait()
	return &log
}

// follow reads a stream until ctx ends. read returns only with an error.
func (s *Server) follow(ctx context.Context, stream string, read func() error) {
	s.retry(ctx, func() error {
		if err := read(); err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		return nil
	})
}

// followSnapshots takes versions over until reading fails or one does not follow.
// It begins with the newest one: what Envoys have is never taken back by older ones
// on the way there.
func (s *Server) followSnapshots(ctx context.Context, open func(context.Context) (Snapshots, error)) error {
	snapshots, err := open(ctx)
	if err != nil {
		return err
	}
	defer snapshots.Close()
	state, err := snapshots.Load(ctx)
	if err != nil {
		return err
	}
	if !state.Version.IsZero() {
		if err := s.take(snapshots, state.Full()); err != nil {
			return err
		}
	}
	s.progress.reached(events.StreamSnapshots)
	for {
		versions, err := snapshots.Next(ctx)
		if err != nil {
			return err
		}
		if err := s.take(snapshots, versions...); err != nil {
			return err
		}
	}
}

func (s *Server) take(from Snapshots, versions ...*routing.Snapshot) error {
	if s.config.LocalCopy == "" {
		versions = withoutVerdicts(versions)
	}
	started := time.Now()
	err := s.store.Take(versions...)
	s.metrics.took(versions, time.Since(started), err)
	if at, ok := from.(interface{ Position() events.Version }); ok && err == nil {
		s.metrics.read.Store(at.Position().Sequence)
	}
	return err
}

// withoutVerdicts leaves out what only a local copy is for, which holds whole versions.
func withoutVerdicts(versions []*routing.Snapshot) []*routing.Snapshot {
	out := make([]*routing.Snapshot, len(versions))
	for i, v := range versions {
		served := *v
		served.Verdicts, served.Gone, served.VerdictDigest = nil, nil, routing.Digest{}
		out[i] = &served
	}
	return out
}

// retry calls attempt until it succeeds or ctx ends, at ever longer intervals:
// from 100 ms to 5 s.
func (s *Server) retry(ctx context.Context, attempt func() error) {
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	pause := shortest
	for {
		began := time.Now()
		err := attempt()
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(began) > longest {
			pause = shortest // it worked for a while
		}
		s.config.Logger.Warn("the log is out of reach; what is served stays", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

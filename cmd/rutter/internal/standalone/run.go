package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/internal/memory"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/route"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
	"github.com/rutter-gateway/rutter/status-writer/files"
	xdsserver "github.com/rutter-gateway/rutter/xds-server"
)

// Config of one run.
type Config struct {
	// Dir is the directory of manifests, DataDir where everything durable is kept.
	Dir, DataDir string
	// ListenAddress is where Envoy binds the listeners.
	ListenAddress string
	// Envoy is the binary, envoyproc.Auto to look for it, or None.
	Envoy string
	// RouteLayout is the layout of Gateways whose class does not choose one.
	RouteLayout string
	// ReadyFile is written when every Gateway of the first version is acknowledged
	// by its Envoy; empty for none.
	ReadyFile string
	// PprofAddress is where profiles of this process are served, on this machine
	// alone; empty for nowhere.
	PprofAddress string
	// PrintState prints Gateways, routes and conditions as a table.
	PrintState func(io.Writer, *routing.State) error
	Out        io.Writer
	Logger     *slog.Logger
}

// None starts no Envoy: they are somebody else's.
const None = "none"

// cluster is what the events of a standalone run say they come from.
const cluster = "local"

const controllerName = "rutter.dev/gateway-controller"

// slack is how much garbage, in bytes, is worth a collection.
const slack = 16 << 20

// Run serves until ctx ends, and stops everything it started.
func Run(ctx context.Context, c Config) error {
	if info, err := os.Stat(c.Dir); err != nil {
		return fmt.Errorf("read manifests: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("read manifests: %s is not a directory", c.Dir)
	}
	if layout := route.Layout(c.RouteLayout); layout != route.LayoutScoped && layout != route.LayoutPlain {
		return fmt.Errorf("route layout %q is unknown; use %s or %s", c.RouteLayout, route.LayoutScoped, route.LayoutPlain)
	}
	if net.ParseIP(c.ListenAddress) == nil {
		return fmt.Errorf("listen address %q is not an IP address", c.ListenAddress)
	}
	if c.Envoy != None {
		path, err := envoyproc.Find(ctx, c.Envoy)
		if err != nil {
			return err
		}
		c.Envoy = path
	}
	log, err := natslog.StartServer(ctx, natslog.ServerConfig{Dir: c.DataDir, Share: true, Logger: c.Logger})
	if err != nil {
		return err
	}
	defer log.Close()
	r := &run{Config: c, log: log, streams: map[string]events.Stream{}}
	return r.run(ctx)
}

type run struct {
	Config
	log      *natslog.Log
	streams  map[string]events.Stream
	buckets  map[string]events.Bucket
	identity *age.X25519Identity
	feed     *feed
	screen   *screen
	runDir   string
}

func (r *run) run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	var err error
	if r.runDir, err = os.MkdirTemp("", "rutter-"); err != nil {
		return fmt.Errorf("make a directory for sockets: %w", err)
	}
	defer func() { _ = os.RemoveAll(r.runDir) }()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var services sync.WaitGroup
	start := func(name string, service func(context.Context) error) {
		services.Go(func() {
			if err := service(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	server, err := r.xdsServer(r.feed.subscribe())
	if err != nil {
		return err
	}
	statuses, shown, served := r.feed.subscribe(), r.feed.subscribe(), r.feed.subscribe()
	r.screen.Say("Serving the manifests in %s; everything durable is in %s.", r.Dir, r.DataDir)
	start("screen", func(ctx context.Context) error { return r.screen.Run(ctx, shown) })
	start("xds-server", server.Run)
	start("projector", r.projector)
	start("ingest", r.ingest)
	start("status-writer", func(ctx context.Context) error { return r.statusWriter(ctx, statuses) })
	start("envoy", func(ctx context.Context) error { return r.envoys(ctx, served) })
	start("versions", r.feed.run)
	start("pprof", r.profiles)
	start("memory", func(ctx context.Context) error { memory.Keep(ctx, slack); return nil })
	<-ctx.Done()
	services.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// open prepares the data directory, the streams and the identity.
func (r *run) open(ctx context.Context) error {
	for _, sc := range events.Streams(1) {
		s, err := r.log.Stream(ctx, sc)
		if err != nil {
			return err
		}
		r.streams[sc.Name] = s
	}
	r.buckets = map[string]events.Bucket{}
	for _, name := range []string{ingest.IndexBucket, projector.FoldBucket, routing.CheckpointBucket} {
		b, err := r.log.Bucket(ctx, name)
		if err != nil {
			return err
		}
		r.buckets[name] = b
	}
	if err := os.MkdirAll(r.envoyLogs(), 0o700); err != nil {
		return fmt.Errorf("prepare the data directory: %w", err)
	}
	var err error
	if r.identity, err = loadIdentity(filepath.Join(r.DataDir, "identity")); err != nil {
		return err
	}
	r.feed = &feed{stream: r.streams[events.StreamSnapshots], bucket: r.buckets[routing.CheckpointBucket]}
	r.screen = newScreen(r.Config, r.streams[events.StreamEvents])
	return nil
}

func (r *run) envoyLogs() string { return filepath.Join(r.DataDir, "envoy") }

func (r *run) socket() string { return filepath.Join(r.runDir, "xds.sock") }

func (r *run) ingest(ctx context.Context) error {
	service, err := ingest.New(ingest.Config{
		Dir: r.Dir, Cluster: cluster, Holder: "standalone", Sole: true,
		Settings: events.Settings{
			ControllerName: controllerName, ListenAddress: r.ListenAddress, RouteLayout: r.RouteLayout,
			Recipient: r.identity.Recipient().String(),
		},
		Events: r.streams[events.StreamEvents], Endpoints: r.streams[events.StreamEndpoints],
		Receipts: r.streams[events.StreamReceipts], Bucket: r.buckets[ingest.IndexBucket],
		Snapshots: r.streams[events.StreamSnapshots], Versions: r.buckets[routing.CheckpointBucket],
		Folded: func(ctx context.Context, info events.StreamInfo) (uint64, error) {
			return projector.Covered(ctx, r.buckets[projector.FoldBucket], info)
		},
		Report: r.screen.Report, Stalled: r.screen.Stalled("recording"), Now: time.Now, Logger: r.Logger,
		Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	return service.Run(ctx)
}

func (r *run) projector(ctx context.Context) error {
	service, err := projector.New(projector.Config{
		Cluster: cluster, Holder: "standalone", Sole: true,
		Events: r.streams[events.StreamEvents], Snapshots: r.streams[events.StreamSnapshots],
		Folds: r.buckets[projector.FoldBucket], Versions: r.buckets[routing.CheckpointBucket],
		Stalled: r.screen.Stalled("publishing"), Now: time.Now, Logger: r.Logger, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	return service.Run(ctx)
}

// xdsServer serves the Envoys. It needs no local copy: it lives and dies with the
// log, which is in this process. After an error it reads the versions anew.
func (r *run) xdsServer(versions *subscription) (*xdsserver.Server, error) {
	listener, err := net.Listen("unix", r.socket())
	if err != nil {
		return nil, fmt.Errorf("listen for Envoys: %w", err)
	}
	return xdsserver.New(xdsserver.Config{
		Listener: listener, Name: "standalone", Cluster: cluster, Identity: r.identity,
		Logger: r.Logger, Registerer: prometheus.NewRegistry(),
		Observer: r.screen.Held,
		Open: func(context.Context) (xdsserver.Log, error) {
			return xdsserver.Log{
				Snapshots: func(ctx context.Context) (xdsserver.Snapshots, error) {
					if versions.used.CompareAndSwap(false, true) {
						return versions, nil
					}
					return routing.Follow(ctx, r.streams[events.StreamSnapshots], r.buckets[routing.CheckpointBucket])
				},
				Endpoints: r.streams[events.StreamEndpoints], Receipts: r.streams[events.StreamReceipts],
			}, nil
		},
	})
}

func (r *run) statusWriter(ctx context.Context, versions *subscription) error {
	defer versions.Close()
	receipts := r.streams[events.StreamReceipts]
	info, err := receipts.Info(ctx)
	if err != nil {
		return err
	}
	reader := receipts.Reader(info.Last + 1)
	defer reader.Close()
	statuses, err := files.Open(filepath.Join(r.DataDir, "status"))
	if err != nil {
		return err
	}
	service, err := statuswriter.New(statuswriter.Config{
		Snapshots: versions, Receipts: reader, Applier: statuses, ControllerName: controllerName,
		Workers: 1, // the other processors are for what serves
		Logger:  r.Logger, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	return service.Run(ctx)
}

// envoys keeps one Envoy for each Gateway that is served.
func (r *run) envoys(ctx context.Context, versions *subscription) error {
	defer versions.Close()
	if r.Envoy == None {
		r.screen.Say("No Envoy is started. xDS is served on the socket %s; node.cluster is the Gateway's namespace/name.", r.socket())
		<-ctx.Done()
		return nil
	}
	f := &fleet{path: r.Envoy, xds: r.socket(), runDir: r.runDir, logDir: r.envoyLogs(), screen: r.screen, running: map[string]func(){}}
	defer f.Stop()
	served := map[string]bool{}
	for {
		snapshots, err := versions.Next(ctx)
		if err != nil {
			return err
		}
		for _, s := range snapshots {
			serve(served, s)
		}
		f.Set(ctx, served)
	}
}

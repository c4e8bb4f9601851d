package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/internal/tlsdir"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/route"
)

// ingestOptions are the flags of ingest.
type ingestOptions struct {
	source, recipientFile, replaces string
	actorsListen, actorsTLSDir      string
	api                             apiFlags
	settings                        events.Settings
}

const fromKubernetes = "kubernetes"

// ingestQPS is how many requests a second ingest may make: what is watched costs
// none, a Secret that is referred to one, and a deletion that a list found another.
const ingestQPS = 100

func newIngestCommand(env *environment) *cobra.Command {
	c := process.Config{Version: version, Output: env.err, Adopt: env.adopt}
	var o ingestOptions
	cmd := &cobra.Command{
		Use:   "ingest",
		Short: "Service: record what happens to configuration in EVENTS and ENDPOINTS",
		Long: `Service: record what happens to configuration in EVENTS and ENDPOINTS.

One ingest writes at a time. A second one stands by, and takes over 300 ms after the first
has fallen silent: it then lists everything and records what differs.

Deletions that were not seen to happen are held while there are so many that they may be a
mistake. The GatewayClass says so, and how to confirm them.

With --actors-listen it serves an admission webhook that allows everything, and records in ACTORS
who asks for which change. Every ingest serves it, also one that stands by.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			recorded, err := o.config()
			if err != nil {
				return err
			}
			if (o.actorsListen == "") != (o.actorsTLSDir == "") {
				return errors.New("--actors-listen and --actors-tls-dir belong together")
			}
			return process.Run(cmd.Context(), c, func(ctx context.Context, p *process.Process) error {
				return p.OnLog(ctx, func(ctx context.Context, s *process.Session) error { return runIngest(ctx, p, s, recorded, &o) })
			})
		},
	}
	flags := cmd.Flags()
	c.Bind(flags)
	flags.StringVar(&o.source, "source", fromKubernetes, "what to record: kubernetes, or a directory of manifests")
	o.api.bind(flags)
	flags.StringVar(&o.recipientFile, "recipient-file", "", "the public key (age1…) to which private keys are sealed, for the xDS servers to open")
	flags.StringVar(&o.settings.ControllerName, "controller-name", "rutter.dev/gateway-controller", "which GatewayClasses are served")
	flags.StringVar(&o.settings.RouteLayout, "route-layout", string(route.LayoutScoped), "how virtual hosts are laid out where the GatewayClass does not say: scoped or plain")
	flags.StringVar(&o.settings.ListenAddress, "listen-address", "0.0.0.0", "the address on which Envoys listen")
	flags.BoolVar(&o.settings.Provisioned, "provisioned", false, "a provisioner makes Envoys and a Service for each Gateway")
	flags.StringVar(&o.replaces, "replaces-cluster", "", "the uid of the namespace kube-system of the cluster that was recorded under this name before, where this one takes its place")
	flags.StringVar(&o.actorsListen, "actors-listen", "", "HOST:PORT of the admission webhook that sees who asks for changes (default: nobody is seen)")
	flags.StringVar(&o.actorsTLSDir, "actors-tls-dir", "", "directory with tls.crt and tls.key of that webhook, and path, where it takes reviews; they may come later, and are read again when they change")
	return cmd
}

// config is what the flags say of a configuration.
func (o *ingestOptions) config() (ingest.Config, error) {
	out := ingest.Config{Settings: o.settings}
	if layout := route.Layout(o.settings.RouteLayout); layout != route.LayoutScoped && layout != route.LayoutPlain {
		return out, fmt.Errorf("--route-layout is %q; use %s or %s", layout, route.LayoutScoped, route.LayoutPlain)
	}
	if o.recipientFile == "" {
		return out, errors.New("--recipient-file is missing")
	}
	recipient, err := os.ReadFile(o.recipientFile)
	if err != nil {
		return out, fmt.Errorf("read the recipient: %w", err)
	}
	out.Settings.Recipient = string(bytes.TrimSpace(recipient))
	if o.source != fromKubernetes {
		out.Dir = o.source
		return out, nil
	}
	config, err := o.api.config(ingestQPS)
	if err != nil {
		return out, err
	}
	out.Kubernetes = &ingest.Kubernetes{Config: config, Replaces: o.replaces}
	return out, nil
}

// actorsPath is where the webhook takes reviews, as a file says.
func (o *ingestOptions) actorsPath() string {
	path, err := os.ReadFile(filepath.Join(o.actorsTLSDir, "path"))
	if err != nil {
		return "" // it comes with the certificate
	}
	return string(bytes.TrimSpace(path))
}

func runIngest(ctx context.Context, p *process.Process, s *process.Session, c ingest.Config, o *ingestOptions) error {
	var err error
	if o.actorsListen != "" {
		listener, err := net.Listen("tcp", o.actorsListen)
		if err != nil {
			return fmt.Errorf("listen for the API server: %w", err)
		}
		defer listener.Close()
		c.Actors = &ingest.Actors{Listener: listener, TLS: tlsdir.New(o.actorsTLSDir, false, p.Logger).Server(), Path: o.actorsPath, Stream: s.Streams[events.StreamActors]}
		p.Logger.Info("who asks for changes is seen", "address", listener.Addr().String())
	}
	if c.Bucket, err = s.Log.Bucket(ctx, ingest.IndexBucket); err != nil {
		return err
	}
	folds, err := s.Log.Bucket(ctx, projector.FoldBucket)
	if err != nil {
		return err
	}
	c.Cluster, c.Holder = p.Cluster, p.Name
	c.Events, c.Endpoints, c.Receipts = s.Streams[events.StreamEvents], s.Streams[events.StreamEndpoints], s.Streams[events.StreamReceipts]
	c.Snapshots = s.Streams[events.StreamSnapshots]
	if c.Versions, err = s.Log.Bucket(ctx, routing.CheckpointBucket); err != nil {
		return err
	}
	c.Folded = func(ctx context.Context, info events.StreamInfo) (uint64, error) {
		return projector.Covered(ctx, folds, info)
	}
	c.Stalled = p.Stalled("recording waits; nothing is lost, and serving goes on")
	c.Report = func(refused, _ []ingest.Problem) {
		for _, problem := range refused {
			p.Logger.Warn("a manifest is refused", "name", problem.Where, "error", problem.Message)
		}
	}
	c.Now, c.Logger, c.Registerer = time.Now, p.Logger, s.Registerer
	service, err := ingest.New(c)
	if err != nil {
		return err
	}
	p.ReadyWhen(service.Ready)
	return service.Run(ctx)
}

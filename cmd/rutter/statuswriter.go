package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
	"github.com/rutter-gateway/rutter/status-writer/kube"
)

// silence is after how long without a heartbeat an xDS server counts as gone.
const silence = 5 * events.HeartbeatEvery

// eventQPS is how many Kubernetes Events a second may be recorded.
const eventQPS = 20

func newStatusWriterCommand(env *environment) *cobra.Command {
	c := process.Config{Version: version, Output: env.err, Adopt: env.adopt}
	var flagged apiFlags
	var controllerName string
	cmd := &cobra.Command{
		Use:   "status-writer",
		Short: "Service: write what the system found out into the status of objects",
		Long: `Service: write what the system found out into the status of objects, and whether the Envoys run it.

One status-writer is enough: it only shows what is recorded. A second one beside it does no
harm, because each write is refused by the API server unless it is made from the present state.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return process.Run(cmd.Context(), c, func(ctx context.Context, p *process.Process) error {
				api, err := flagged.config(eventQPS) // statuses have a pace of their own
				if err != nil {
					return err
				}
				api.WarningHandler = rest.NoWarnings{}
				return runStatusWriter(ctx, p, api, controllerName)
			})
		},
	}
	flags := cmd.Flags()
	c.Bind(flags)
	flagged.bind(flags)
	flags.StringVar(&controllerName, "controller-name", "rutter.dev/gateway-controller", "the GatewayClasses with this spec.controllerName are ours")
	return cmd
}

func runStatusWriter(ctx context.Context, p *process.Process, api *rest.Config, controllerName string) error {
	recorder, err := kube.NewRecorder(kube.RecorderConfig{API: api, Instance: p.Name, Logger: p.Logger, Registerer: p.Registry})
	if err != nil {
		return err
	}
	statuses, err := kube.New(kube.Config{
		API: api, ControllerName: controllerName, Events: recorder,
		Logger: p.Logger, Registerer: p.Registry,
	})
	if err != nil {
		return err
	}
	// Until the last status is written, of which there may be an Event.
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watches sync.WaitGroup
	defer watches.Wait()
	defer stop()
	watches.Go(func() { statuses.Run(watching) })
	watches.Go(func() { recorder.Run(watching) })
	return p.OnLog(ctx, func(ctx context.Context, s *process.Session) error {
		return writeStatuses(ctx, p, s, statuses, controllerName)
	})
}

// writeStatuses is one life of the service.
func writeStatuses(ctx context.Context, p *process.Process, s *process.Session, statuses *kube.Statuses, controllerName string) error {
	bucket, err := s.Log.Bucket(ctx, routing.CheckpointBucket)
	if err != nil {
		return err
	}
	follower, err := routing.Follow(ctx, s.Streams[events.StreamSnapshots], bucket)
	if err != nil {
		return err
	}
	defer follower.Close()
	heartbeats, err := s.Log.Listen(ctx, events.ReceiptHeartbeatSubject(p.Cluster, "*"))
	if err != nil {
		return err
	}
	defer heartbeats.Close()
	// What was reported before is repeated in the heartbeats.
	info, err := s.Streams[events.StreamReceipts].Info(ctx)
	if err != nil {
		return err
	}
	receipts := s.Streams[events.StreamReceipts].Reader(info.Last + 1)
	defer receipts.Close()
	service, err := statuswriter.New(statuswriter.Config{
		Snapshots: follower, Receipts: receipts, Heartbeats: heartbeats, Measured: s.Streams[events.StreamSnapshots],
		Applier: statuses, ControllerName: controllerName, Silence: silence, Logger: p.Logger, Registerer: s.Registerer,
	})
	if err != nil {
		return err
	}
	p.ReadyWhen(func() error {
		if err := statuses.Synced(); err != nil {
			return err
		}
		return service.Ready()
	})
	return service.Run(ctx)
}

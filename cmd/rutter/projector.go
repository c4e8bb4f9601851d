package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/projector"
)

func newProjectorCommand(env *environment) *cobra.Command {
	c := process.Config{Version: version, Output: env.err}
	cmd := &cobra.Command{
		Use:   "projector",
		Short: "Service: fold EVENTS into routing, and publish it as versions in SNAPSHOTS",
		Long: `Service: fold EVENTS into routing, and publish it as versions in SNAPSHOTS.

One projector writes at a time. A second one stands by, and takes over 300 ms after the first
has fallen silent.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return process.Run(cmd.Context(), c, func(ctx context.Context, p *process.Process) error {
				return p.OnLog(ctx, func(ctx context.Context, s *process.Session) error { return runProjector(ctx, p, s) })
			})
		},
	}
	c.Bind(cmd.Flags())
	return cmd
}

func runProjector(ctx context.Context, p *process.Process, s *process.Session) error {
	folds, err := s.Log.Bucket(ctx, projector.FoldBucket)
	if err != nil {
		return err
	}
	versions, err := s.Log.Bucket(ctx, routing.CheckpointBucket)
	if err != nil {
		return err
	}
	service, err := projector.New(projector.Config{
		Cluster: p.Cluster, Holder: p.Name,
		Events: s.Streams[events.StreamEvents], Snapshots: s.Streams[events.StreamSnapshots], Folds: folds, Versions: versions,
		Stalled: p.Stalled("publishing waits; nothing is lost, and serving goes on"),
		Now:     time.Now, Logger: p.Logger, Registerer: s.Registerer,
	})
	if err != nil {
		return err
	}
	p.ReadyWhen(service.Ready)
	return service.Run(ctx)
}

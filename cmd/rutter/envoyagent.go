package main

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/internal/envoyagent"
)

func newEnvoyAgentCommand(env *environment) *cobra.Command {
	var c envoyagent.Config
	var address string
	cmd := &cobra.Command{
		Use:   "envoy-agent",
		Short: "Service: stand beside an Envoy in its pod: readiness, statistics, and draining before the end",
		Long: `Service: stand beside an Envoy in its pod. It says whether Envoy is ready (/readyz), passes on its
statistics (/metrics), and when it is asked to end, it first lets Envoy send its clients away.
/drained answers once they have gone: the preStop hook of Envoy's container.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Logger = slog.New(slog.NewJSONHandler(env.err, nil))
			var err error
			if c.Listener, err = net.Listen("tcp", address); err != nil {
				return fmt.Errorf("envoy agent: %w", err)
			}
			c.Logger.Info("started", "version", version, "address", c.Listener.Addr().String())
			return envoyagent.Run(cmd.Context(), c)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.AdminSocket, "admin-socket", "/run/rutter/admin.sock", "the socket of Envoy's administration interface")
	flags.StringVar(&address, "http-address", ":19001", "where the kubelet and Prometheus ask")
	flags.DurationVar(&c.Least, "drain-least", 5*time.Second, "how long draining takes in any case")
	flags.DurationVar(&c.Most, "drain-most", 30*time.Second, "after which time draining is over in any case")
	return cmd
}

package main

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/standalone"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/projector/route"
)

func newStandaloneCommand(env *environment) *cobra.Command {
	c := standalone.Config{Out: env.out}
	var verbose bool
	cmd := &cobra.Command{
		Use:   "standalone DIR",
		Short: "Serve a directory of manifests: the whole system in one process",
		Long: `Serve a directory of manifests: the whole system in one process, with an embedded NATS server
and one Envoy for each Gateway. Files are served as they are saved. Everything that is
recorded stays in the data directory, which the other commands read with --data-dir,
while this runs and after it ended.`,
		Example: "  rutter standalone examples/tutorial\n  curl -H 'Host: www.example.com' http://127.0.0.1:8080/",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("standalone serves one directory of manifests: rutter standalone DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Dir = args[0]
			if c.DataDir == "" {
				absolute, err := filepath.Abs(c.Dir)
				if err != nil {
					return err
				}
				c.DataDir = filepath.Join(".rutter", filepath.Base(absolute))
			}
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			c.Logger = slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: level}))
			c.PrintState = func(out io.Writer, s *routing.State) error { return printOverview(out, s, env.colours) }
			return standalone.Run(cmd.Context(), c)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.DataDir, "data-dir", "", "where everything durable is kept (default .rutter/<name of DIR>)")
	flags.StringVar(&c.ListenAddress, "listen-address", "127.0.0.1", "the address on which Envoy listens")
	flags.StringVar(&c.Envoy, "envoy", envoyproc.Auto, "the Envoy to run: auto, a path, or none")
	flags.StringVar(&c.RouteLayout, "route-layout", string(route.LayoutScoped), "how virtual hosts are laid out where the GatewayClass does not say: scoped or plain")
	flags.StringVar(&c.ReadyFile, "ready-file", "", "a file to write once Envoy has acknowledged the first version")
	flags.StringVar(&c.PprofAddress, "pprof-address", "", "where to serve profiles of memory and processor use, such as 127.0.0.1:6060; nowhere when empty")
	flags.BoolVar(&verbose, "verbose", false, "log what happens inside, to standard error")
	return cmd
}

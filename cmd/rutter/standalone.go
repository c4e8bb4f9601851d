package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/standalone"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/projector/route"
)

func newStandaloneCommand(env *environment) *cobra.Command {
	c := standalone.Config{Out: env.out}
	var verbose bool
	var then pastFlags
	cmd := &cobra.Command{
		Use:   "standalone DIR",
		Short: "Serve a directory of manifests: the whole system in one process",
		Long: `Serve a directory of manifests: the whole system in one process, with an embedded NATS server
and one Envoy for each Gateway. Files are served as they are saved. Everything that is
recorded stays in the data directory, which the other commands read with --data-dir,
while this runs and after it ended.

With --at it serves what was published then, of a log that is somewhere else: the same listeners,
hosts and rules on real Envoys, with stand-ins for backends, which answer with their names, and
for certificates. Nothing is recorded.`,
		Example: `  rutter standalone examples/tutorial
  curl -H 'Host: www.example.com' http://127.0.0.1:8080/
  rutter standalone --at '2h ago' --bundle incident.rutter --port-offset 10000`,
		Args: func(_ *cobra.Command, args []string) error {
			if then.at != "" && len(args) > 0 {
				return errors.New("--at serves the past of a log, and no directory of manifests: leave DIR out")
			}
			if then.at == "" && (then.given()) {
				return errors.New("--bundle, --nats-url and --port-offset are for the past: say which, --at T")
			}
			if then.at == "" && len(args) != 1 {
				return errors.New("standalone serves one directory of manifests: rutter standalone DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			c.Logger = slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: level}))
			c.PrintState = func(out io.Writer, s *routing.State) error { return printOverview(out, s, env.colours) }
			if then.at != "" {
				return runPast(cmd.Context(), env, c, then)
			}
			c.Dir = args[0]
			if c.DataDir == "" {
				absolute, err := filepath.Abs(c.Dir)
				if err != nil {
					return err
				}
				c.DataDir = filepath.Join(".rutter", filepath.Base(absolute))
			}
			return standalone.Run(cmd.Context(), c)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&c.DataDir, "data-dir", "", "where everything durable is kept (default .rutter/<name of DIR>); with --at, where the log is")
	flags.StringVar(&then.at, "at", "", "T: serve the past of a log, at a time, a duration ago, or a version")
	flags.StringVar(&then.bundle, "bundle", "", "with --at: the `FILE` that rutter export wrote")
	flags.StringVar(&then.natsURL, "nats-url", "", "with --at: the NATS server `URL` that holds the log")
	flags.IntVar(&then.portOffset, "port-offset", 0, "with --at: what to add to the ports of listeners, where theirs are taken or for root only")
	flags.StringVar(&c.ListenAddress, "listen-address", "127.0.0.1", "the address on which Envoy listens")
	flags.StringVar(&c.Envoy, "envoy", envoyproc.Auto, "the Envoy to run: auto, a path, or none")
	flags.StringVar(&c.RouteLayout, "route-layout", string(route.LayoutScoped), "how virtual hosts are laid out where the GatewayClass does not say: scoped or plain")
	flags.StringVar(&c.ReadyFile, "ready-file", "", "a file to write once Envoy has acknowledged the first version")
	flags.StringVar(&c.PprofAddress, "pprof-address", "", "where to serve profiles of memory and processor use, such as 127.0.0.1:6060; nowhere when empty")
	flags.BoolVar(&verbose, "verbose", false, "log what happens inside, to standard error")
	return cmd
}

// pastFlags are those of serving the past.
type pastFlags struct {
	source
	at         string
	portOffset int
}

func (f *pastFlags) given() bool { return f.bundle != "" || f.natsURL != "" || f.portOffset != 0 }

func runPast(ctx context.Context, env *environment, c standalone.Config, then pastFlags) error {
	then.dataDir = c.DataDir
	r := reading{source: then.source, output: string(display.Table)}
	h, _, done, err := r.open(ctx, env)
	if err != nil {
		return err
	}
	state, err := at(ctx, h, env, then.at)
	done()
	if err != nil {
		return err
	}
	return standalone.RunPast(ctx, c, state, then.portOffset)
}

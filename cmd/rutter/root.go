package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/events"
)

// environment is what commands need of the world.
type environment struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	// open opens the log for reading.
	open func(context.Context, source) (events.Log, error)
	// colours tells whether out shows them.
	colours bool
	// adopt is given the logger of a service for client-go, which has one for the whole
	// program; nil in tests, where services share one.
	adopt func(*slog.Logger)
	// plugin is set where it is called as `kubectl rutter`.
	plugin bool
}

// errFound ends a command that worked and has bad news, which it has printed: a
// difference, a bad verdict. The exit code is 1.
var errFound = errors.New("found something")

func newRootCommand(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "rutter",
		Short: "An event-sourced Kubernetes Gateway API controller",
		Long: `Rutter writes every change that can influence routing to a durable log, and computes
the rest from it: what Envoy runs, the conditions on the objects, and the answers below.

Exit codes: 0 fine, 1 a difference or a bad verdict was found, 2 the command could not run.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	if env.plugin {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl rutter"}
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: `%s --help` tells what there is", err, cmd.CommandPath())
	})
	root.AddCommand(
		newStandaloneCommand(env),
		newLogCommand(env),
		newShowCommand(env),
		newDiffCommand(env),
		newExplainCommand(env),
		newBlameCommand(env),
		newBisectCommand(env),
		newPlanCommand(env),
		newTraceCommand(env),
		newVerifyCommand(env),
		newPinCommand(env),
		newUnpinCommand(env),
		newExportCommand(env),
		newImportCommand(env),
		newInitCommand(env),
		newIngestCommand(env),
		newProjectorCommand(env),
		newProvisionerCommand(env),
		newEnvoyAgentCommand(env),
		newXDSServerCommand(env),
		newStatusWriterCommand(env),
		newVersionCommand(env),
	)
	return root
}

// atMost refuses more than so many arguments.
func atMost(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > most {
			return fmt.Errorf("%q is one argument too many: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/transfer"
	"github.com/rutter-gateway/rutter/events/bundle"
)

func newImportCommand(env *environment) *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "import FILE --data-dir DIR",
		Short: "Make a data directory of a file that `rutter export` wrote",
		Long: `Make a data directory of a file that ` + "`rutter export`" + ` wrote. All reading commands take it with
--data-dir, and ` + "`rutter standalone`" + ` goes on with it. For reading alone the file will do: --bundle FILE.`,
		Example: "  rutter import incident.rutter --data-dir incident",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("import takes one file: rutter import FILE --data-dir DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runImport(cmd.Context(), env, args[0], dataDir) },
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "the directory to make")
	return cmd
}

func runImport(ctx context.Context, env *environment, path, dataDir string) error {
	if dataDir == "" {
		return errors.New("say where to: --data-dir DIR, a directory that does not exist yet")
	}
	file, err := bundle.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	logger := slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: slog.LevelError}))
	summary, err := transfer.Import(ctx, file, dataDir, logger, progress(env, "imported"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.err, carried(summary, "imported into "+dataDir))
	return err
}

package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// envoyMinimum is the oldest Envoy that is known to run what is published.
const envoyMinimum = "1.40.0"

// builtFrom is the answer of `rutter version`.
type builtFrom struct {
	Rutter   string `json:"rutter"`
	Go       string `json:"go"`
	Envoy    string `json:"envoyMinimum"`
	Fold     int    `json:"foldVersion"`
	Envelope int    `json:"envelopeVersion"`
	Snapshot int    `json:"snapshotFormat"`
}

func newVersionCommand(env *environment) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print versions: of this build, and of what it reads and writes",
		Args:  atMost(0),
		RunE: func(*cobra.Command, []string) error {
			format, err := display.ParseFormat(output)
			if err != nil {
				return err
			}
			v := builtFrom{version, runtime.Version(), envoyMinimum, fold.Version, events.EnvelopeVersion, routing.FormatVersion}
			if format != display.Table {
				return format.Write(env.out, v)
			}
			_, err = fmt.Fprintf(env.out, "rutter    %s\ngo        %s\nenvoy     %s or newer\nfold      %d\nenvelope  %d\nsnapshot  %d\n",
				v.Rutter, v.Go, v.Envoy, v.Fold, v.Envelope, v.Snapshot)
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, json or yaml")
	return cmd
}

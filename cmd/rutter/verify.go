package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/memory"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/replay"
)

func newVerifyCommand(env *environment) *cobra.Command {
	r := &reading{}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Fold the log again and compare every published version with what comes out",
		Long: `Fold the log again, from its beginning or its oldest checkpoint, and compare every published
version with what comes out: the digest of each Gateway, of all verdicts, and the chain over
all events. Versions are also compared with a projection from nothing, without the index
that makes the projector fast. Exit code 1 if anything differs.

What was published by another fold version may rightly come out otherwise: then it is a preview
of the upgrade. What differs is told in routing terms, for the first version and for the last.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := display.ParseFormat(r.output)
			if err != nil {
				return err
			}
			log, err := r.openLog(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer log.Close()
			memory.Spend()
			report, err := verify(cmd.Context(), env, log)
			if err != nil {
				return err
			}
			routing, err := explained(cmd.Context(), log, append(report.Findings, report.Previews...))
			if err != nil {
				return err
			}
			return printReport(env, format, r.colours(env), &verified{report, routing})
		},
	}
	r.bind(cmd)
	return cmd
}

func verify(ctx context.Context, env *environment, log events.Log) (*replay.Report, error) {
	var streams [2]events.Stream
	for i, name := range []string{events.StreamEvents, events.StreamSnapshots} {
		s, err := log.Stream(ctx, events.StreamConfig{Name: name})
		if errors.Is(err, events.ErrNotFound) {
			return nil, fmt.Errorf("there is no stream %s: nothing was ever recorded here", name)
		} else if err != nil {
			return nil, err
		}
		streams[i] = s
	}
	var buckets [2]events.Bucket
	for i, name := range []string{projector.FoldBucket, routing.CheckpointBucket} {
		b, err := log.Bucket(ctx, name)
		if err != nil {
			return nil, err
		}
		buckets[i] = b
	}
	all, err := replay.OpenLog(ctx, streams[0], streams[1], buckets[0], buckets[1])
	if err != nil {
		return nil, err
	}
	defer all.Versions.Close()
	info, err := streams[0].Info(ctx)
	if err != nil {
		return nil, err
	}
	due := paced(env)
	return replay.Verify(ctx, all, func(r replay.Report) {
		if due() {
			fmt.Fprintf(env.err, "compared %d versions, folded %d of at most %d events\n", r.Versions, r.Events, info.Last-info.First+1)
		}
	})
}

// verified is a report, with what its findings mean.
type verified struct {
	*replay.Report
	Routing []*refolded `json:"routing,omitempty"`
}

func printReport(env *environment, format display.Format, colours bool, report *verified) error {
	bad := len(report.Findings) > 0
	if format != display.Table {
		if err := format.Write(env.out, report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Findings {
			fmt.Fprintf(env.out, "version %s: %s: %s\n", f.Version, f.What, f.Detail)
		}
		for _, f := range report.Previews {
			fmt.Fprintf(env.out, "preview: version %s: %s: %s\n", f.Version, f.What, f.Detail)
		}
		outcome := "as published"
		if bad {
			outcome = fmt.Sprintf("%d findings", len(report.Findings))
		}
		fmt.Fprintf(env.out, "%d versions from %d events: %s (%d compared with a projection from nothing, %d could not be compared)\n",
			report.Versions, report.Events, outcome, report.Scratch, report.Skipped)
		for _, r := range report.Routing {
			if err := r.write(env.out, colours); err != nil {
				return err
			}
		}
	}
	if bad {
		return errFound
	}
	return nil
}

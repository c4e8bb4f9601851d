package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
)

func newTraceCommand(env *environment) *cobra.Command {
	var flags struct {
		reading
		change uint64
	}
	cmd := &cobra.Command{
		Use:   "trace OBJECT",
		Short: "One change from the API server to Envoy's acknowledgement, with the time of each hop",
		Example: `  rutter trace httproute/default/shop --data-dir DIR
  rutter trace httproute/default/shop --change 21 --data-dir DIR`,
		Args: objectArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTrace(cmd.Context(), env, &flags.reading, args[0], flags.change)
		},
	}
	flags.bind(cmd)
	cmd.Flags().Uint64Var(&flags.change, "change", 0, "the sequence of the change, as `rutter log` tells it; the newest when left out")
	return cmd
}

func runTrace(ctx context.Context, env *environment, flags *reading, object string, change uint64) error {
	key, err := history.ParseObject(object)
	if err != nil {
		return err
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	found, err := h.Trace(ctx, key, change)
	if err != nil {
		return err
	}
	return flags.tell(env, format, (*traced)(found))
}

type traced history.Trace

// bad is where an Envoy refused a part of it.
func (t *traced) bad() bool {
	for _, e := range t.Envoys {
		if len(e.Refused) > 0 {
			return true
		}
	}
	return false
}

func (t *traced) write(w io.Writer, colours bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\n", changeText(t.Entry))
	table := display.Rows{Header: []string{"HOP", "TIME", "AFTER", ""}}
	hop := func(name string, at *time.Time, note string, colour display.Colour) {
		row := display.Cells(name, "-", "", note)
		row[3].Colour = colour
		if at != nil {
			row[1].Text = at.UTC().Format("2006-01-02T15:04:05.000Z")
			if name != "written" && name != "observed" {
				row[2].Text = fmt.Sprintf("%+.1f ms", float64(at.Sub(t.Time).Microseconds())/1000)
			}
		}
		table.Body = append(table.Body, row)
	}
	hop("written", t.Written, "to the API server, which keeps whole seconds", "")
	hop("observed", &t.Time, "by ingest", "")
	hop("recorded", &t.Recorded, fmt.Sprintf("as %d", t.Sequence), "")
	published := t.Published
	if published != "" {
		published = "as " + published
	}
	hop("published", t.PublishedAt, published, "")
	for _, e := range t.Envoys {
		who := "by " + e.Node + " of " + e.Gateway + ", at " + e.Server
		switch {
		case e.Joined:
			who += ", which connected later"
		case e.Later != "":
			who += ", with " + e.Later
		}
		if e.Held == nil && len(e.Refused) == 0 {
			who += ": not yet"
		}
		hop("held", e.Held, who, "")
		for _, refused := range e.Refused {
			hop("refused", nil, "by "+e.Node+": "+refused, display.Bad)
		}
	}
	if err := table.Write(&out, colours); err != nil {
		return err
	}
	if len(t.Unknown) > 0 {
		out.WriteString("\nNot known:\n")
		for _, text := range t.Unknown {
			fmt.Fprintf(&out, "  %s\n", text)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

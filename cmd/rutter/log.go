package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
)

// logFlags are what `rutter log` can be told.
type logFlags struct {
	reading
	since, until string
	follow, all  bool
}

func newLogCommand(env *environment) *cobra.Command {
	var flags logFlags
	cmd := &cobra.Command{
		Use:   "log [OBJECT]",
		Short: "What changed, when, by whom, and what it did to routing",
		Example: `  rutter log --data-dir DIR
  rutter log httproute/default/shop --since 2h --data-dir DIR`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runLog(cmd.Context(), env, &flags, args) },
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&flags.since, "since", "", "only what came after T: a time, a duration ago, or a version")
	cmd.Flags().StringVar(&flags.until, "until", "", "only what was there at T")
	cmd.Flags().BoolVarP(&flags.follow, "follow", "f", false, "go on with what happens from now on, until interrupted")
	cmd.Flags().BoolVar(&flags.all, "all", false, "show too what changed nothing: baselines, listings, epochs")
	return cmd
}

func runLog(ctx context.Context, env *environment, flags *logFlags, args []string) error {
	var q history.Query
	if len(args) == 1 {
		var err error
		if q.Object, err = history.ParseObject(args[0]); err != nil {
			return err
		}
	}
	if flags.follow && flags.bundle != "" {
		return errors.New("-f waits for what happens from now on, and nothing is ever added to a bundle: leave it out")
	}
	since, err := history.ParsePoint(flags.since, env.now())
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	until, err := history.ParsePoint(flags.until, env.now())
	if err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	q.All = flags.all
	if q.From, q.Until, err = h.Range(ctx, since, until); err != nil {
		return err
	}
	if q.Until > 0 && q.From > q.Until+1 {
		return fmt.Errorf("--since %s comes after --until %s", flags.since, flags.until)
	}
	if flags.follow {
		return followLog(ctx, env, h, q, format, flags.colours(env))
	}
	entries, _, err := h.Entries(ctx, q)
	if err != nil {
		return err
	}
	if format != display.Table {
		return format.Write(env.out, entries)
	}
	if len(entries) == 0 {
		_, err := fmt.Fprintln(env.out, nothing(q))
		return err
	}
	table := display.Rows{Header: []string{"SEQ", "TIME", "CHANGE", "OBJECT", "BY", "FIELDS", "ROUTING"}}
	last := map[string]uint64{} // the last event of each version
	for _, e := range entries {
		if e.Routing != nil {
			last[e.Routing.Version] = e.Sequence
		}
	}
	for _, e := range entries {
		row := logRow(e)
		if e.Routing != nil && last[e.Routing.Version] != e.Sequence {
			row[len(row)-1].Text = fmt.Sprintf("together with %d", last[e.Routing.Version])
		}
		table.Body = append(table.Body, row)
	}
	return table.Write(env.out, flags.colours(env))
}

// followLog prints entries as they come: lines, or one JSON value a line.
func followLog(ctx context.Context, env *environment, h *history.History, q history.Query, format display.Format, colours bool) error {
	return h.Follow(ctx, q, func(e *history.Entry) error {
		switch format {
		case display.JSON:
			return json.NewEncoder(env.out).Encode(e)
		case display.YAML:
			if _, err := fmt.Fprintln(env.out, "---"); err != nil {
				return err
			}
			return format.Write(env.out, e)
		}
		var parts []string
		for _, cell := range logRow(e) {
			if cell.Text != "" {
				parts = append(parts, display.Paint(cell.Text, cell.Colour, colours))
			}
		}
		_, err := fmt.Fprintln(env.out, strings.Join(parts, "  "))
		return err
	})
}

// nothing says that there is no entry, and of what.
func nothing(q history.Query) string {
	out := "nothing was recorded"
	if q.Object != (events.Key{}) {
		out += " of " + history.Object(q.Object)
	}
	if q.From > 0 || q.Until > 0 {
		out += " in that time"
	}
	return out
}

// Widths in characters of what a row tells of the fields that changed, and of the
// effect. JSON and YAML have all of it.
const (
	fieldsWidth  = 48
	routingWidth = 110
)

func logRow(e *history.Entry) []display.Cell {
	fields := e.Note
	if len(e.Fields) > 0 {
		fields = fieldsText(e.Fields)
	}
	routing := display.Cell{Text: display.Short(e.Routing.Short(e.Object), routingWidth)}
	switch {
	case e.RoutingUnknown:
		routing.Text = "(no longer known)"
	case e.Routing != nil:
		routing.Colour = display.Note
	}
	colour := map[string]display.Colour{"created": display.Good, "deleted": display.Bad, "refused": display.Bad}[e.Change]
	return []display.Cell{
		{Text: fmt.Sprint(e.Sequence)}, {Text: e.Time.UTC().Format(time.RFC3339)}, {Text: e.Change, Colour: colour}, {Text: e.Object},
		{Text: e.Who()}, {Text: display.Short(fields, fieldsWidth)}, routing,
	}
}

// fieldsText tells of the fields that changed the first one, and how many more.
func fieldsText(fields []history.Field) string {
	if len(fields) == 0 {
		return ""
	}
	suffix := ""
	if more := len(fields) - 1; more > 0 {
		suffix = fmt.Sprintf(" +%d more", more)
	}
	room := fieldsWidth - len(suffix)
	return display.Short(fields[0].Short(room), room) + suffix
}

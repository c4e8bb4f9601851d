package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
)

func newBlameCommand(env *environment) *cobra.Command {
	var flags struct {
		reading
		at string
	}
	cmd := &cobra.Command{
		Use:   "blame OBJECT",
		Short: "Which change last set each field of an object, as recorded; of a deleted one, of its last form",
		Example: `  rutter blame httproute/default/shop --data-dir DIR
  rutter blame gateway/default/web --at 2h --data-dir DIR`,
		Args: objectArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBlame(cmd.Context(), env, &flags.reading, flags.at, args[0])
		},
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&flags.at, "at", "", "T: a time, a duration ago, or a version; now when left out")
	return cmd
}

func runBlame(ctx context.Context, env *environment, flags *reading, at, object string) error {
	key, err := history.ParseObject(object)
	if err != nil {
		return err
	}
	point, err := history.ParsePoint(at, env.now())
	if err != nil {
		return err
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	v, err := h.At(ctx, point)
	if err != nil {
		return err
	}
	found, err := h.Blame(ctx, key, v)
	if err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("nothing was recorded of %s by version %d: `rutter log` lists what there is", history.Object(key), v.Sequence)
	}
	return flags.tell(env, format, (*blamed)(found))
}

type blamed history.Blame

func (b *blamed) bad() bool { return false }

// valueWidth is how many characters a table shows of a value. JSON and YAML have all.
const valueWidth = 60

func (b *blamed) write(w io.Writer, colours bool) error {
	if b.Deleted != nil {
		text := "deleted by the change " + strconv.FormatUint(b.Deleted.Sequence, 10) + " of " + setTime(*b.Deleted)
		if who := b.Deleted.Who(); who != "-" {
			text += ", by " + who
		}
		if _, err := fmt.Fprintf(w, "%s  %s\nits last form:\n\n", b.Object, display.Paint(text, display.Bad, colours)); err != nil {
			return err
		}
	}
	t := display.Rows{Header: []string{"FIELD", "VALUE", "SEQ", "TIME", "BY"}}
	for _, f := range b.Fields {
		sequence := "-"
		if f.Sequence > 0 {
			sequence = strconv.FormatUint(f.Sequence, 10)
		}
		t.Body = append(t.Body, display.Cells(f.Path, display.Short(f.Value, valueWidth), sequence, setTime(f.Set), f.Who()))
	}
	return t.Write(w, colours)
}

func setTime(s history.Set) string {
	out := s.Time.Format(time.RFC3339)
	if s.Before {
		out = "before " + out
	}
	return out
}

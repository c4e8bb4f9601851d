package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
)

// diffFlags are what `rutter diff` can be told.
type diffFlags struct {
	reading
	from, to string
}

func newDiffCommand(env *environment) *cobra.Command {
	var flags diffFlags
	cmd := &cobra.Command{
		Use:   "diff [GATEWAY] --from A [--to B]",
		Short: "The difference in routing between two times; exit code 1 if there is one",
		Example: `  rutter diff --from 2h --data-dir DIR
  rutter diff default/web --from 120 --to 140 --data-dir DIR`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runDiff(cmd.Context(), env, &flags, args) },
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&flags.from, "from", "", "T: a time, a duration ago, or a version")
	cmd.Flags().StringVar(&flags.to, "to", "", "T; now when left out")
	return cmd
}

func runDiff(ctx context.Context, env *environment, flags *diffFlags, args []string) error {
	if flags.from == "" {
		return errors.New("say from when: --from T")
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	from, err := at(ctx, h, env, flags.from)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	to, err := at(ctx, h, env, flags.to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	names := gatewayNames(from)
	for _, name := range gatewayNames(to) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(args) == 1 {
		name, err := gatewayName(args[0], from, to)
		if err != nil {
			return err
		}
		names = []string{name}
	}
	slices.Sort(names)
	d, err := newDifferences(from, to, names)
	if err != nil {
		return err
	}
	return flags.tell(env, format, d)
}

// differences between two versions.
type differences struct {
	From     moment              `json:"from"`
	To       moment              `json:"to"`
	Gateways []gatewayDifference `json:"gateways"`
}

type moment struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
}

type gatewayDifference struct {
	Gateway     string                `json:"gateway"`
	Differences []describe.Difference `json:"differences"`
}

func momentOf(s *routing.State) moment { return moment{s.Version.String(), s.Time} }

func (m moment) String() string { return m.Version + " of " + m.Time.UTC().Format(time.RFC3339) }

// newDifferences describes only the Gateways whose digests differ.
func newDifferences(from, to *routing.State, names []string) (*differences, error) {
	d := &differences{From: momentOf(from), To: momentOf(to), Gateways: []gatewayDifference{}}
	for _, name := range names {
		if a, b := from.Gateways[name], to.Gateways[name]; a != nil && b != nil && a.Digest == b.Digest {
			continue
		}
		before, err := described(from, name)
		if err != nil {
			return nil, err
		}
		after, err := described(to, name)
		if err != nil {
			return nil, err
		}
		if list := describe.Diff(before, after); len(list) > 0 {
			d.Gateways = append(d.Gateways, gatewayDifference{name, list})
		}
	}
	return d, nil
}

func (d *differences) bad() bool { return len(d.Gateways) > 0 }

func (d *differences) write(w io.Writer, colours bool) error {
	if _, err := fmt.Fprintf(w, "From  %s\nTo    %s\n\n", d.From, d.To); err != nil {
		return err
	}
	if len(d.Gateways) == 0 {
		_, err := fmt.Fprintln(w, "no difference in routing")
		return err
	}
	return writeGateways(w, d.Gateways, colours)
}

// writeGateways writes what differs, Gateway by Gateway.
func writeGateways(w io.Writer, list []gatewayDifference, colours bool) error {
	for _, g := range list {
		if _, err := fmt.Fprintf(w, "Gateway %s\n", g.Gateway); err != nil {
			return err
		}
		if err := g.write(w, colours); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatewayDifference) write(w io.Writer, colours bool) error {
	for _, one := range g.Differences {
		if err := writeDifference(w, one, colours); err != nil {
			return err
		}
	}
	return nil
}

func writeDifference(w io.Writer, d describe.Difference, colours bool) error {
	colour := map[describe.Kind]display.Colour{describe.Added: display.Good, describe.Removed: display.Bad, describe.Changed: display.Note}[d.Kind]
	if _, err := fmt.Fprintf(w, "  %s\n", display.Paint(history.Sign(d.Kind)+" "+d.String(), colour, colours)); err != nil {
		return err
	}
	for _, line := range d.Details {
		colour := map[byte]display.Colour{'+': display.Good, '-': display.Bad}[line[0]]
		if _, err := fmt.Fprintf(w, "      %s\n", display.Paint(line, colour, colours)); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// unpinFlags are what `rutter unpin` can be told.
type unpinFlags struct {
	pinFlags
	yes bool
}

func newUnpinCommand(env *environment) *cobra.Command {
	var flags unpinFlags
	cmd := &cobra.Command{
		Use:   "unpin GATEWAY",
		Short: "End a pin: what waited is served; shows first what changes",
		Long: `End a pin: what waited is served. Shows what changes, asks, and then deletes the RoutingPins of
the Gateway from the cluster, or with --manifest their file.`,
		Example: `  rutter unpin shop/web --nats-url URL
  rutter unpin web --data-dir DIR --manifest manifests/pin.yaml --yes`,
		Args: exactlyOne("the Gateway"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUnpin(cmd.Context(), env, &flags, cmd.InOrStdin(), args[0])
		},
	}
	flags.bindPin(cmd)
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "do not ask")
	return cmd
}

func runUnpin(ctx context.Context, env *environment, flags *unpinFlags, in io.Reader, gateway string) error {
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	now, err := at(ctx, h, env, "")
	if err != nil {
		return err
	}
	name, err := gatewayName(gateway, now)
	if err != nil {
		return err
	}
	var pins []recordedPin
	next, err := h.Preview(ctx, func(s *fold.State) ([]events.Event, error) {
		if pins = pinsOf(s, name); len(pins) == 0 {
			return nil, fmt.Errorf("the Gateway %s is not pinned", name)
		}
		return unpinning(env, pins), nil
	})
	if err != nil {
		return err
	}
	changes, err := newDifferences(now, next, []string{name})
	if err != nil {
		return err
	}
	answer := &unpinned{Gateway: name, From: momentOf(now), Gateways: changes.Gateways}
	for _, pin := range pins {
		answer.Pins = append(answer.Pins, pin.String())
	}
	if err := flags.tell(env, format, answer); err != nil {
		return err
	}
	if flags.dryRun {
		return nil
	}
	if !flags.yes {
		if err := confirmed(env, in); err != nil {
			return err
		}
	}
	return flags.remove(ctx, env, pins)
}

func confirmed(env *environment, in io.Reader) error {
	fmt.Fprint(env.err, "Unpin? [y/N] ")
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed: answer y, or give --yes")
	}
	return nil
}

// recordedPin is a RoutingPin as it is recorded.
type recordedPin struct {
	key events.Key
	pin *fold.Pin
}

func (p recordedPin) String() string { return p.key.Namespace + "/" + p.key.Name }

// pinsOf are the RoutingPins for a Gateway, in force or not.
func pinsOf(s *fold.State, gateway string) []recordedPin {
	var out []recordedPin
	for _, o := range s.Objects(events.RoutingPins) {
		if pin, ok := o.Value.(*fold.Pin); ok && o.Key.Namespace+"/"+pin.Spec.GatewayRef.Name == gateway {
			out = append(out, recordedPin{o.Key, pin})
		}
	}
	return out
}

func unpinning(env *environment, pins []recordedPin) []events.Event {
	var list []events.Event
	for _, p := range pins {
		list = append(list, events.Event{Type: events.ObjectDeleted, Key: p.key, Time: env.now(), Data: []byte("{}")})
	}
	return list
}

// unpinned is what changes when a pin ends.
type unpinned struct {
	Gateway  string              `json:"gateway"`
	From     moment              `json:"from"`
	Gateways []gatewayDifference `json:"gateways"`
	// Pins are the RoutingPins that go.
	Pins []string `json:"routingPins"`
}

func (u *unpinned) bad() bool { return false }

func (u *unpinned) write(w io.Writer, colours bool) error {
	if _, err := fmt.Fprintf(w, "Gateway  %s\nNow      %s\nPinned   by %s\n\n", u.Gateway, u.From, strings.Join(u.Pins, ", ")); err != nil {
		return err
	}
	return writeChanges(w, u.Gateways, colours)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// pinFlags are what `rutter pin` and `rutter unpin` can be told.
type pinFlags struct {
	reading
	pinTarget
	at, reason string
	dryRun     bool
}

func newPinCommand(env *environment) *cobra.Command {
	var flags pinFlags
	cmd := &cobra.Command{
		Use:   "pin GATEWAY --at T",
		Short: "Serve a past version of a Gateway's routing, with the endpoints and certificates of today",
		Long: `Serve a past version of a Gateway's routing, with the endpoints and certificates of today,
until rutter unpin: shows what changes, and then writes a RoutingPin.

What is changed meanwhile waits, and its status says so. What no ReferenceGrant permits any
more is not served either.

The RoutingPin is applied to the cluster; or written to a file among the manifests of
rutter standalone, with --manifest. A RoutingPin that could not be served is not written.`,
		Example: `  rutter pin shop/web --at 2h --reason "checkout is down" --nats-url URL
  rutter pin web --at 37 --data-dir DIR --manifest manifests/pin.yaml
  rutter pin shop/web --at 2h --nats-url URL --manifest - | kubectl apply -f -`,
		Args: exactlyOne("the Gateway"),
		RunE: func(cmd *cobra.Command, args []string) error { return runPin(cmd.Context(), env, &flags, args[0]) },
	}
	flags.bindPin(cmd)
	cmd.Flags().StringVar(&flags.at, "at", "", "T: a time, a duration ago, or a version")
	cmd.Flags().StringVar(&flags.reason, "reason", "", "why, for those who find it pinned")
	return cmd
}

func (f *pinFlags) bindPin(cmd *cobra.Command) {
	f.reading.bind(cmd)
	f.pinTarget.bind(cmd.Flags())
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would change, and change nothing")
}

// show tells what changes: beside the manifest, where that is what standard output is for.
func (f *pinFlags) show(env *environment, format display.Format, answer *pinned) error {
	if f.manifest == toStdout && !f.dryRun {
		return answer.write(env.err, false)
	}
	return f.tell(env, format, answer)
}

// exactlyOne refuses any other number of arguments.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("say %s: %s", what, cmd.UseLine())
		}
		return atMost(1)(cmd, args)
	}
}

func runPin(ctx context.Context, env *environment, flags *pinFlags, gateway string) error {
	if flags.at == "" {
		return errors.New("say to which version: --at T")
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	now, err := at(ctx, h, env, "")
	if err != nil {
		return err
	}
	then, err := at(ctx, h, env, flags.at)
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	name, err := gatewayName(gateway, then, now)
	if err != nil {
		return err
	}
	content := routing.Pinned(then, name)
	if content == nil {
		return fmt.Errorf("nothing was published for the Gateway %s at %s", name, momentOf(then))
	}
	pin := newPin(name, content, flags.reason)
	next, err := h.Preview(ctx, func(s *fold.State) ([]events.Event, error) { return pinning(env, s, pin, content) })
	if err != nil {
		return err
	}
	if why := refusedPin(next.Verdicts[keyOfPin(pin)]); why != "" {
		return fmt.Errorf("the Gateway %s cannot be pinned to %s: %s", name, then.Version, why)
	}
	changes, err := newDifferences(now, next, []string{name})
	if err != nil {
		return err
	}
	answer := &pinned{Gateway: name, Pin: pin, From: momentOf(now), To: momentOf(then), Gateways: changes.Gateways}
	if err := flags.show(env, format, answer); err != nil {
		return err
	}
	if flags.dryRun {
		return nil
	}
	return flags.write(ctx, env, pin)
}

// newPin is the RoutingPin of a Gateway: it has the Gateway's name, so that to pin again
// replaces it.
func newPin(gateway string, content *routing.Snapshot, reason string) *v1alpha1.RoutingPin {
	namespace, name, _ := strings.Cut(gateway, "/")
	return &v1alpha1.RoutingPin{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupName + "/" + v1alpha1.Version, Kind: v1alpha1.KindPin},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.RoutingPinSpec{
			GatewayRef: v1alpha1.GatewayReference{Name: name},
			Version:    content.Version.String(), Digest: content.Gateways[0].Digest.String(), Reason: reason,
		},
	}
}

func keyOfPin(pin *v1alpha1.RoutingPin) events.Key {
	return events.Key{Resource: events.RoutingPins, Namespace: pin.Namespace, Name: pin.Name}
}

// pinning is what ingest would record.
func pinning(env *environment, s *fold.State, pin *v1alpha1.RoutingPin, content *routing.Snapshot) ([]events.Event, error) {
	key := keyOfPin(pin)
	object := *pin
	object.CreationTimestamp = metav1.NewTime(env.now())
	if o := s.Object(key); o != nil {
		object.CreationTimestamp = metav1.NewTime(o.Created)
	}
	data, err := json.Marshal(&object)
	if err != nil {
		return nil, fmt.Errorf("encode the RoutingPin: %w", err)
	}
	head := events.PinnedRouting{Gateway: content.Gateways[0].Gateway, Version: pin.Spec.Version, Digest: pin.Spec.Digest}
	parts, err := routing.EncodePinned(head, content, 1<<20)
	if err != nil {
		return nil, err
	}
	list := []events.Event{{Type: events.ObjectApplied, Key: key, Time: env.now(), Data: data}}
	for _, part := range parts {
		if data, err = json.Marshal(part); err != nil {
			return nil, fmt.Errorf("encode the routing: %w", err)
		}
		list = append(list, events.Event{Type: events.TypePinned, Key: key, Time: env.now(), Data: data})
	}
	return list, nil
}

// refusedPin is why a RoutingPin is not in force; "" where it is.
func refusedPin(v routing.Verdict) string {
	i := slices.IndexFunc(v.Conditions, func(c routing.Condition) bool {
		return c.Type == string(gatewayv1.PolicyConditionAccepted)
	})
	switch {
	case i < 0:
		return "it is not a Gateway of this controller"
	case v.Conditions[i].Status == "True":
		return ""
	}
	return v.Conditions[i].Message
}

// pinned is what changes with a pin.
type pinned struct {
	Gateway string `json:"gateway"`
	// From is what is published now, To the version that is put in force.
	From     moment               `json:"from"`
	To       moment               `json:"to"`
	Gateways []gatewayDifference  `json:"gateways"`
	Pin      *v1alpha1.RoutingPin `json:"routingPin"`
}

func (p *pinned) bad() bool { return false }

func (p *pinned) write(w io.Writer, colours bool) error {
	if _, err := fmt.Fprintf(w, "Gateway  %s\nNow      %s\nPinned   %s\n\n", p.Gateway, p.From, p.To); err != nil {
		return err
	}
	return writeChanges(w, p.Gateways, colours)
}

func writeChanges(w io.Writer, list []gatewayDifference, colours bool) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "Nothing changes in routing.")
		return err
	}
	if _, err := fmt.Fprintln(w, "What changes:"); err != nil {
		return err
	}
	for _, g := range list {
		if err := g.write(w, colours); err != nil {
			return err
		}
	}
	return nil
}

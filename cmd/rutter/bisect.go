package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
)

// bisectFlags are what `rutter bisect` can be told.
type bisectFlags struct {
	reading
	good, bad, expect, gateway string
	headers                    []string
	// run is a command that judges, envoy and portOffset how it is served what it judges.
	run, envoy string
	portOffset int
}

func newBisectCommand(env *environment) *cobra.Command {
	var flags bisectFlags
	cmd := &cobra.Command{
		Use:   "bisect METHOD URL --good T [--bad T]",
		Short: "The one change after which a request went elsewhere",
		Long: `Search the published versions between two times for the change after which a request was
answered otherwise than at --good. What --expect names is compared:

  answer   where it goes: backends with their shares, Envoy's own answers, and filters
  backend  which backends get it, whatever their shares
  status   what Envoy answers by itself
  match    the route of which a rule takes it

With --run a command of yours judges instead, as with git bisect run: each version that is tried
is served here by a real Envoy, with stand-ins for backends, and sh -c COMMAND runs with RUTTER_URL
(where that URL is served now), RUTTER_HOST (the host to ask for), RUTTER_ADDRESS and RUTTER_VERSION.
Exit code 0 is good, 125 skips the version, all others up to 127 are bad.

The search halves: where the request went to and fro in between, it finds one of the changes
that led away from what was at --good.`,
		Example: `  rutter bisect GET http://shop.example.com/cart --good 2h --data-dir DIR
  rutter bisect GET http://shop.example.com/cart --good 120 --bad 140 --expect backend --data-dir DIR
  rutter bisect GET http://shop.example.com/cart --good 2h --bundle incident.rutter \\
    --run 'curl -sf -H "Host: $RUTTER_HOST" "$RUTTER_URL" | grep -q shop/cart'`,
		Args: requestArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBisect(cmd.Context(), env, &flags, args[0], args[1])
		},
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&flags.good, "good", "", "T when the request went where it should: a time, a duration ago, or a version")
	cmd.Flags().StringVar(&flags.bad, "bad", "", "T when it did not; now when left out")
	cmd.Flags().StringVar(&flags.expect, "expect", "answer", "what has to be as at --good: answer, backend, status or match")
	cmd.Flags().StringVar(&flags.run, "run", "", "a `COMMAND` that judges each version that is tried, while a local Envoy serves it")
	cmd.Flags().IntVar(&flags.portOffset, "port-offset", 10_000, "with --run: what to add to the ports of listeners")
	cmd.Flags().StringVar(&flags.envoy, "envoy", envoyproc.Auto, "with --run: the Envoy to run: auto, or a path")
	cmd.Flags().StringVar(&flags.gateway, "gateway", "", "only this Gateway; all that listen on the port when left out")
	cmd.Flags().StringArrayVarP(&flags.headers, "header", "H", nil, "a header, as 'name: value'; may be repeated")
	return cmd
}

// asker asks versions about one request.
type asker struct {
	request *evaluate.Request
	text    string
	gateway string // "" for all
	expect  string
	good    string // the gist of the answer at --good
}

func runBisect(ctx context.Context, env *environment, flags *bisectFlags, method, address string) error {
	request, err := parseRequest(method, address, flags.headers)
	if err != nil {
		return err
	}
	if flags.good == "" {
		return errors.New("say when the request went where it should: --good T")
	}
	if !slices.Contains([]string{"answer", "backend", "status", "match"}, flags.expect) {
		return fmt.Errorf("--expect %s: it is answer, backend, status or match that can be as it was", flags.expect)
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	good, bad, err := goodAndBad(ctx, h, env, flags.good, flags.bad)
	if err != nil {
		return err
	}
	a := &asker{request: request, text: strings.ToUpper(method) + " " + address, expect: flags.expect}
	if flags.gateway != "" {
		if a.gateway, err = gatewayName(flags.gateway, good, bad); err != nil {
			return err
		}
	}
	found := &bisected{Request: a.text, Expect: flags.expect, Good: momentOf(good), Bad: momentOf(bad)}
	if flags.run != "" {
		if err := found.run(ctx, env, h, a, flags, address, good, bad); err != nil {
			return err
		}
		return flags.tell(env, format, found)
	}
	if a.good, err = a.gist(good); err != nil {
		return err
	}
	if same, err := a.isGood(bad); err != nil {
		return err
	} else if same {
		return fmt.Errorf("at --good %s and at --bad %s it is the same: %s; give another --good or --bad, or another --expect", good.Version, bad.Version, a.good)
	}
	turn, err := h.Bisect(ctx, history.Search{Good: good.Version, Bad: bad.Version, IsGood: a.isGood, Touches: a.touches})
	if err != nil {
		return err
	}
	found.Tried = turn.Tried + 2
	if err := found.explain(ctx, h, a, turn.Snapshot, a.isGood); err != nil {
		return err
	}
	return flags.tell(env, format, found)
}

// goodAndBad is what was published at both times.
func goodAndBad(ctx context.Context, h *history.History, env *environment, goodT, badT string) (good, bad *routing.State, err error) {
	if good, err = at(ctx, h, env, goodT); err != nil {
		return nil, nil, fmt.Errorf("--good: %w", err)
	}
	if bad, err = at(ctx, h, env, badT); err != nil {
		return nil, nil, fmt.Errorf("--bad: %w", err)
	}
	switch {
	case good.Version.Incarnation != bad.Version.Incarnation:
		err = fmt.Errorf("--good %s and --bad %s are of different incarnations of the log, which cannot be compared", good.Version, bad.Version)
	case good.Version.Sequence > bad.Version.Sequence:
		err = fmt.Errorf("--good %s comes after --bad %s: what is searched for is where a request went away from what was good", good.Version, bad.Version)
	case good.Version == bad.Version:
		err = fmt.Errorf("--good and --bad are the same version, %s", good.Version)
	}
	return good, bad, err
}

func (a *asker) isGood(state *routing.State) (bool, error) {
	gist, err := a.gist(state)
	return gist == a.good, err
}

// touches tells whether a version has anything to do with the request.
func (a *asker) touches(s *routing.Snapshot) bool {
	for _, g := range s.Gateways {
		if a.gateway != "" && g.Gateway != a.gateway {
			continue
		}
		if g.Deleted || slices.ContainsFunc(g.Changed, func(r routing.Resource) bool { return evaluate.Concerns(r.ResourceName, a.request) }) ||
			slices.ContainsFunc(g.Removed, func(id routing.ResourceName) bool { return evaluate.Concerns(id, a.request) }) {
			return true
		}
	}
	return false
}

// ask is what the request meets at a version.
func (a *asker) ask(state *routing.State) (*explanation, error) {
	names := gatewayNames(state)
	if a.gateway != "" {
		names = []string{a.gateway}
	}
	return newExplanation(state, names, a.request, a.text)
}

// gist is of the answer what is compared, in words.
func (a *asker) gist(state *routing.State) (string, error) {
	bare := &routing.State{Version: state.Version, Time: state.Time, Gateways: map[string]*routing.GatewayState{}}
	for name, g := range state.Gateways { // clusters and secrets have no say in where it goes
		kept := map[routing.ResourceName]routing.Resource{}
		for id, r := range g.Resources {
			if evaluate.Concerns(id, a.request) {
				kept[id] = r
			}
		}
		bare.Gateways[name] = &routing.GatewayState{Resources: kept}
	}
	e, err := a.ask(bare)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, g := range e.Gateways {
		parts = append(parts, g.gist(a.expect))
	}
	slices.Sort(parts)
	return cmp.Or(strings.Join(slices.Compact(parts), "; "), "nobody listens on the port"), nil
}

func (g gatewayAnswer) gist(expect string) string {
	outcome := outcomes[evaluate.Outcome(g.Outcome)]
	var parts []string
	switch {
	case expect == "match" && g.Rule != nil:
		return g.Gateway + ": " + g.Rule.Route
	case expect == "match":
		return g.Gateway + ": " + outcome
	case expect == "answer" && g.Rule != nil:
		parts = append(parts, g.Rule.Filters...)
	}
	for _, s := range g.Answers {
		switch {
		case expect == "answer":
			parts = append(parts, s.text(false))
		case s.Backend == "" && s.GRPC != "":
			parts = append(parts, s.GRPC)
		case s.Backend == "":
			parts = append(parts, strconv.Itoa(s.Status))
		case expect == "backend":
			parts = append(parts, s.Backend)
		default:
			parts = append(parts, "from a backend")
		}
	}
	if expect != "answer" {
		slices.Sort(parts)
		parts = slices.Compact(parts)
	}
	return g.Gateway + ": " + cmp.Or(strings.Join(parts, ", "), outcome)
}

// bisected is the change that was found.
type bisected struct {
	Request string `json:"request"`
	Expect  string `json:"expect"`
	Good    moment `json:"good"`
	Bad     moment `json:"bad"`
	// Tried is how many versions were asked.
	Tried int `json:"tried"`
	// Version is the first that is bad, Events are those that it is made of.
	Version string   `json:"version"`
	Events  []uint64 `json:"events,omitempty"`
	// Change is the one among them, and Diff how the object differs; both absent, and
	// Unknown says why, where that cannot be told.
	Change  *history.Entry `json:"change,omitempty"`
	Diff    string         `json:"diff,omitempty"`
	Unknown string         `json:"unknown,omitempty"`
	// Skipped are versions ahead of it that the command could not judge: it may be one of
	// them.
	Skipped string `json:"skipped,omitempty"`
	// Before and After are what the request met.
	Before []gatewayAnswer `json:"before"`
	After  []gatewayAnswer `json:"after"`

	// before and after are which versions those are.
	before, after moment
	// others are the events, where it is not known which one it was.
	others []*history.Entry
}

// run searches by a command.
func (b *bisected) run(ctx context.Context, env *environment, h *history.History, a *asker, flags *bisectFlags, address string, good, bad *routing.State) error {
	b.Expect = flags.run
	r, err := newRunner(env, flags, a, address)
	if err != nil {
		return err
	}
	turn, skipped, err := r.search(ctx, h, good, bad)
	if err != nil {
		return err
	}
	judge := func(state *routing.State) (bool, error) {
		good, err := r.isGood(ctx, state)
		if errors.Is(err, errSkip) {
			err = fmt.Errorf("%w: %w", history.ErrInseparable, err)
		}
		return good, err
	}
	if err := b.explain(ctx, h, a, turn, judge); err != nil {
		return err
	}
	b.Tried = r.tried
	if len(skipped) > 0 {
		b.Skipped = names(skipped)
	}
	return nil
}

// explain finds out what the version did.
func (b *bisected) explain(ctx context.Context, h *history.History, a *asker, turn *routing.Snapshot, isGood func(*routing.State) (bool, error)) error {
	b.Version, b.Events = turn.Version.String(), turn.Causes
	before := routing.NewState()
	if !turn.Previous.IsZero() {
		var err error
		if before, err = h.State(ctx, turn.Previous); err != nil {
			return err
		}
	}
	was, err := a.ask(before)
	if err != nil {
		return err
	}
	b.Before, b.before = was.Gateways, momentOf(before)
	change, why, err := h.Culprit(ctx, before, turn, isGood)
	if err != nil {
		return err
	}
	if b.Unknown = why; change != nil {
		b.Change, b.Diff = change.Entry, change.Diff()
	} else if b.others, err = h.EntriesOf(ctx, turn.Causes); err != nil && !errors.Is(err, events.ErrNotFound) {
		return err
	}
	after, err := h.State(ctx, turn.Version)
	if err != nil {
		return err
	}
	is, err := a.ask(after)
	if err != nil {
		return err
	}
	b.After, b.after = is.Gateways, momentOf(after)
	return nil
}

func (b *bisected) bad() bool { return false }

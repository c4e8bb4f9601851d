package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
)

// showFlags are what `rutter show` can be told.
type showFlags struct {
	reading
	at, host string
}

func newShowCommand(env *environment) *cobra.Command {
	var flags showFlags
	cmd := &cobra.Command{
		Use:   "show [GATEWAY]",
		Short: "The routes of a Gateway as they are, or were at a time; or all objects with their conditions",
		Example: `  rutter show --data-dir DIR
  rutter show default/web --at 2h --data-dir DIR`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runShow(cmd.Context(), env, &flags, args) },
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&flags.at, "at", "", "T: a time, a duration ago, or a version; now when left out")
	cmd.Flags().StringVar(&flags.host, "host", "", "only the hosts that answer for this hostname")
	return cmd
}

func runShow(ctx context.Context, env *environment, flags *showFlags, args []string) error {
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	state, err := at(ctx, h, env, flags.at)
	if err != nil {
		return err
	}
	var told answer = newOverview(state)
	if len(args) == 1 {
		name, err := gatewayName(args[0], state)
		if err != nil {
			return err
		}
		if told, err = newShown(state, name, flags.host); err != nil {
			return err
		}
	}
	return flags.tell(env, format, told)
}

// shown is one Gateway at one version.
type shown struct {
	Version     string      `json:"version"`
	Time        time.Time   `json:"time"`
	FoldVersion int         `json:"foldVersion"`
	Conditions  []condition `json:"conditions"`
	describe.Gateway
}

func newShown(state *routing.State, name, host string) (*shown, error) {
	s := &shown{Version: state.Version.String(), Time: state.Time, FoldVersion: state.FoldVersion, Conditions: []condition{}}
	if v, ok := gatewayVerdict(state, name); ok {
		s.Conditions = conditionsOf(v)
	}
	g, err := described(state, name)
	if err != nil {
		return nil, err
	}
	if g != nil {
		s.Gateway = *g
	}
	s.Name = name
	if host != "" {
		s.Hosts = answering(s.Hosts, strings.ToLower(host))
	}
	return s, nil
}

// described is what was published for a Gateway; nil when nothing was.
func described(state *routing.State, name string) (*describe.Gateway, error) {
	g := state.Gateways[name]
	if g == nil {
		return nil, nil
	}
	return describe.Of(name, g.Resources)
}

// answering are the hosts that requests for a hostname meet: on each listener the
// most specific one.
func answering(hosts []describe.Host, hostname string) []describe.Host {
	rank := map[string]int{}
	for i, pattern := range evaluate.Covering(hostname) {
		rank[pattern] = i
	}
	out := []describe.Host{}
	for _, h := range hosts {
		at, covers := rank[h.Hostname]
		last := len(out) - 1
		switch {
		case !covers:
		case last < 0 || out[last].Listener != h.Listener:
			out = append(out, h)
		case at < rank[out[last].Hostname]:
			out[last] = h
		}
	}
	return out
}

func (s *shown) bad() bool { return anyBad(s.Conditions) }

func (s *shown) write(w io.Writer, colours bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Gateway     %s\n", s.Name)
	fmt.Fprintf(&out, "Version     %s of %s (fold %d)\n", s.Version, s.Time.UTC().Format(time.RFC3339), s.FoldVersion)
	own := summary(s.Conditions)
	fmt.Fprintf(&out, "Conditions  %s\n", display.Paint(own.Text, own.Colour, colours))
	for _, message := range messages(s.Conditions) {
		fmt.Fprintf(&out, "              %s\n", message)
	}
	for i, l := range s.Listeners {
		label := "           "
		if i == 0 {
			label = "Listeners  "
		}
		fmt.Fprintf(&out, "%s %s\n", label, listenerText(l))
	}
	out.WriteByte('\n')
	if len(s.Hosts) == 0 {
		out.WriteString("nothing is served\n")
		_, err := io.WriteString(w, out.String())
		return err
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return err
	}
	return s.table().Write(w, colours)
}

// listenerText is "https-443-web port 443 TLS a.example certificate default/cert until 2030-01-02".
func listenerText(l describe.Listener) string {
	out := l.Name + "  port " + strconv.Itoa(int(l.Port))
	if l.TLS {
		out += " TLS"
	}
	if l.ServerName != "" {
		out += " for " + l.ServerName
	}
	for _, c := range l.Certificates {
		out += ", certificate " + c.Secret
		if c.Fingerprint != "" {
			out += " until " + c.NotAfter.Format(time.DateOnly)
		}
	}
	return out
}

// table has a row per rule; what repeats from the row above is left blank.
func (s *shown) table() display.Rows {
	t := display.Rows{Header: []string{"LISTENER", "HOST", "MATCH", "ROUTE", "BACKENDS", "FILTERS"}}
	listener := ""
	for _, h := range s.Hosts {
		first := []string{h.Listener, h.Hostname}
		if h.Listener == listener {
			first[0] = ""
		}
		listener = h.Listener
		switch {
		case h.Misdirected:
			t.Body = append(t.Body, display.Cells(first[0], first[1], "any", "-", "421 (misdirected)"))
		case len(h.Rules) == 0:
			t.Body = append(t.Body, display.Cells(first[0], first[1], "any", "-", "404 (no route)"))
		}
		for _, r := range h.Rules {
			t.Body = append(t.Body, append(display.Cells(first...), ruleCells(r)...))
			first = []string{"", ""}
		}
	}
	return t
}

func ruleCells(r describe.Rule) []display.Cell {
	var backends []string
	colour := display.Colour("")
	for _, b := range r.Backends {
		backends = append(backends, b.String())
		if b.Invalid {
			colour = display.Bad
		}
	}
	cells := display.Cells(r.Match, r.Route, strings.Join(backends, ", "), strings.Join(r.Filters, "; "))
	cells[2].Colour = colour
	return cells
}

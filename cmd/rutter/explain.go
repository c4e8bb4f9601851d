package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
)

// explainFlags are what `rutter explain` can be told.
type explainFlags struct {
	reading
	at, gateway string
	headers     []string
}

func newExplainCommand(env *environment) *cobra.Command {
	var flags explainFlags
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Which listener, host, rule and backends a request meets, or would have met at a time, and why no others",
		Example: `  rutter explain GET https://shop.example.com/cart --data-dir DIR
  rutter explain POST http://shop.example.com:8080/cart?x=1 -H 'x-user: anna' --at 2h --data-dir DIR`,
		Args: requestArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExplain(cmd.Context(), env, &flags, args[0], args[1])
		},
	}
	flags.bind(cmd)
	cmd.Flags().StringVar(&flags.at, "at", "", "T: a time, a duration ago, or a version; now when left out")
	cmd.Flags().StringVar(&flags.gateway, "gateway", "", "only this Gateway; all that listen on the port when left out")
	cmd.Flags().StringArrayVarP(&flags.headers, "header", "H", nil, "a header, as 'name: value'; may be repeated")
	return cmd
}

// requestArgs are a method and a URL.
func requestArgs(cmd *cobra.Command, args []string) error {
	if len(args) < 2 {
		return errors.New("say what is asked for: a method and a URL, like GET http://shop.example.com/cart")
	}
	return atMost(2)(cmd, args)
}

func runExplain(ctx context.Context, env *environment, flags *explainFlags, method, address string) error {
	request, err := parseRequest(method, address, flags.headers)
	if err != nil {
		return err
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	state, err := at(ctx, h, env, flags.at)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(state.Gateways))
	if flags.gateway != "" {
		name, err := gatewayName(flags.gateway, state)
		if err != nil {
			return err
		}
		names = []string{name}
	}
	e, err := newExplanation(state, names, request, method+" "+address)
	if err != nil {
		return err
	}
	return flags.tell(env, format, e)
}

// parseRequest is the request that a client makes of a URL.
func parseRequest(method, address string, headers []string) (*evaluate.Request, error) {
	if !httpguts.ValidHeaderFieldName(method) { // both are tokens
		return nil, fmt.Errorf("%q is no method of a request: give one like GET", method)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no URL of a request: give the scheme, the host and the path, like http://shop.example.com:8080/cart", address)
	}
	port := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	number, err := strconv.ParseUint(cmp.Or(u.Port(), port), 10, 16)
	if err != nil || number == 0 {
		return nil, fmt.Errorf("%q has the port %s: a port is 1 to 65535", address, u.Port())
	}
	target := cmp.Or(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		target += "?" + u.RawQuery
	}
	r := &evaluate.Request{Port: uint32(number), TLS: u.Scheme == "https", ServerName: u.Hostname(), Method: strings.ToUpper(method), Authority: u.Host, Target: target}
	for _, text := range headers {
		name, value, found := strings.Cut(text, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !found || name == "" {
			return nil, fmt.Errorf("-H %q: give a header as 'name: value'", text)
		}
		if name == "host" {
			r.Authority = value
			continue
		}
		r.Headers = append(r.Headers, evaluate.Header{Name: name, Value: value})
	}
	return r, nil
}

// explanation is what a request meets on each Gateway that listens.
type explanation struct {
	Version  string          `json:"version"`
	Request  string          `json:"request"`
	Gateways []gatewayAnswer `json:"gateways"`
	moment   moment
}

// gatewayAnswer is what a request meets on one Gateway.
type gatewayAnswer struct {
	Gateway  string `json:"gateway"`
	Outcome  string `json:"outcome"`
	Listener string `json:"listener,omitempty"`
	Host     string `json:"host,omitempty"`
	// WiderHosts cover the name too.
	WiderHosts []string       `json:"widerHosts,omitempty"`
	Rule       *describe.Rule `json:"rule,omitempty"`
	Answers    []share        `json:"answers,omitempty"`
	Tried      []tried        `json:"tried,omitempty"`
}

// share is a part of the requests like this one.
type share struct {
	Percent float64 `json:"percent"`
	Backend string  `json:"backend,omitempty"`
	Status  int     `json:"status,omitempty"`
	GRPC    string  `json:"grpcStatus,omitempty"`
	Why     string  `json:"why,omitempty"`
}

// tried is a rule of the host, and why it is not the one.
type tried struct {
	Rule    string `json:"rule"`
	Match   string `json:"match"`
	Matches bool   `json:"matches"`
	Taken   bool   `json:"taken,omitempty"`
	Why     string `json:"why,omitempty"`
}

func newExplanation(state *routing.State, names []string, r *evaluate.Request, text string) (*explanation, error) {
	e := &explanation{Version: state.Version.String(), Request: text, Gateways: []gatewayAnswer{}, moment: momentOf(state)}
	for _, name := range names {
		g := state.Gateways[name]
		if g == nil {
			continue
		}
		resources := concerned(g.Resources, r)
		config, err := evaluate.Read(resources)
		if err != nil {
			return nil, fmt.Errorf("gateway %s: %w", name, err)
		}
		answer, err := config.Answer(r)
		if err != nil {
			return nil, fmt.Errorf("gateway %s: %w", name, err)
		}
		if answer.Outcome == evaluate.Refused && len(names) > 1 {
			continue
		}
		described, err := describe.Of(name, resources)
		if err != nil {
			return nil, err
		}
		e.Gateways = append(e.Gateways, newGatewayAnswer(described, answer))
	}
	return e, nil
}

// concerned are the resources that have to do with a request: with where it goes, or
// with how who answers is reached. Other hosts are not read.
func concerned(all map[routing.ResourceName]routing.Resource, r *evaluate.Request) map[routing.ResourceName]routing.Resource {
	out := map[routing.ResourceName]routing.Resource{}
	for id, resource := range all {
		if evaluate.Concerns(id, r) || id.Type == envoy.TypeCluster || id.Type == envoy.TypeSecret {
			out[id] = resource
		}
	}
	return out
}

func newGatewayAnswer(g *describe.Gateway, a *evaluate.Answer) gatewayAnswer {
	out := gatewayAnswer{Gateway: g.Name, Outcome: string(a.Outcome), Listener: a.Chain, Host: a.Host, WiderHosts: a.PassedOver}
	out.Answers = newShares(a)
	rules := rulesOf(g, a.Chain, a.Host)
	for _, t := range a.Tried {
		r := rules[t.Route]
		out.Tried = append(out.Tried, tried{Rule: ruleText(r), Match: r.Match, Matches: t.Matches, Taken: t.Route == a.Route, Why: t.Why})
		if t.Route == a.Route {
			out.Rule = &r
		}
	}
	return out
}

func newShares(a *evaluate.Answer) []share {
	var out []share
	for _, s := range a.Shares {
		out = append(out, share{s.Percent, s.Cluster, s.Status, s.GRPC, s.Why})
	}
	return out
}

// rulesOf are the rules of a host, by the names of their routes.
func rulesOf(g *describe.Gateway, listener, host string) map[string]describe.Rule {
	out := map[string]describe.Rule{}
	for _, h := range g.Hosts {
		if h.Listener != listener || h.Hostname != host {
			continue
		}
		for _, r := range h.Rules {
			out[r.Name()] = r
		}
	}
	return out
}

func ruleText(r describe.Rule) string { return fmt.Sprintf("%s rule %d", r.Route, r.Index) }

// bad is where nobody serves the request, or not all of those like it.
func (e *explanation) bad() bool {
	return len(e.Gateways) == 0 || slices.ContainsFunc(e.Gateways, func(g gatewayAnswer) bool {
		switch evaluate.Outcome(g.Outcome) {
		case evaluate.Streamed, evaluate.Rewritten:
			return false
		case evaluate.Routed:
			return slices.ContainsFunc(g.Answers, share.bad)
		}
		return true
	})
}

// bad is where Envoy answers with an error, or not at all.
func (s share) bad() bool {
	return s.Backend == "" && s.Status == 0 && s.GRPC == "" || s.Status >= 400 || s.GRPC != "" && s.GRPC != "OK"
}

func (e *explanation) write(w io.Writer, colours bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nat %s\n", e.Request, e.moment)
	if len(e.Gateways) == 0 {
		out.WriteString("\nno Gateway listens on that port\n")
	}
	for _, g := range e.Gateways {
		if err := g.write(&out, colours); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// outcomes in words, where no rule is taken.
var outcomes = map[evaluate.Outcome]string{
	evaluate.Refused:     "nobody listens on the port",
	evaluate.Closed:      "the connection is closed: no listener of the port speaks that (TLS, or for that server name)",
	evaluate.Streamed:    "the connection is forwarded as it is; requests in it are not looked at",
	evaluate.Rewritten:   "the client is sent to the same path without the escaped slash",
	evaluate.NoHost:      "no host of the listener covers the hostname",
	evaluate.NoRoute:     "no rule of the host matches",
	evaluate.Misdirected: "another listener answers for the hostname",
}

func (g *gatewayAnswer) write(out *strings.Builder, colours bool) error {
	line := func(label, text string) { fmt.Fprintf(out, "%-9s  %s\n", label, text) }
	out.WriteByte('\n')
	line("Gateway", g.Gateway)
	if g.Listener != "" {
		line("Listener", g.Listener)
	}
	if g.Host != "" {
		text := g.Host
		if len(g.WiderHosts) > 0 {
			text += "  (wider: " + strings.Join(g.WiderHosts, ", ") + ")"
		}
		line("Host", text)
	}
	if g.Rule != nil {
		line("Rule", ruleText(*g.Rule)+": "+g.Rule.Match)
		for _, f := range g.Rule.Filters {
			line("Filter", f)
		}
	} else {
		line("Outcome", display.Paint(outcomes[evaluate.Outcome(g.Outcome)], display.Bad, colours))
	}
	for _, s := range g.Answers {
		line("Answer", s.text(colours))
	}
	if len(g.Tried) == 0 {
		return nil
	}
	out.WriteByte('\n')
	t := display.Rows{Header: []string{"", "RULE", "MATCH", "WHY NOT"}}
	for _, one := range g.Tried {
		row := display.Cells("", one.Rule, one.Match, one.Why)
		if one.Taken {
			row[0] = display.Cell{Text: "→", Colour: display.Good}
		}
		t.Body = append(t.Body, row)
	}
	return t.Write(out, colours)
}

func (s share) text(colours bool) string {
	text, colour := s.Backend, display.Good
	if text == "" {
		text, colour = strconv.Itoa(s.Status), display.Note
		if s.Status == 0 {
			text = "no answer"
		}
		if s.GRPC != "" {
			text = s.GRPC + " (gRPC)"
		}
		if s.Why != "" {
			text += ": " + s.Why
		}
		if s.bad() {
			colour = display.Bad
		}
	}
	if s.Percent != 100 {
		text += " " + strconv.FormatFloat(s.Percent, 'g', 4, 64) + "%"
	}
	return display.Paint(text, colour, colours)
}

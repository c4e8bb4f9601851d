package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/standalone"
	"github.com/rutter-gateway/rutter/events/routing"
)

// runner judges versions by a command of the user, as git bisect run does, while a real
// Envoy serves the version on this machine.
type runner struct {
	env     *environment
	command string
	url     *url.URL
	port    int // that was asked for
	config  standalone.Config
	offset  int
	// touches tells whether a version can be judged otherwise than the one before.
	touches func(*routing.Snapshot) bool
	tried   int
}

// How git bisect run takes exit codes: 0 is good, skip cannot be judged, what is above
// most ends the search, and all others are bad.
const (
	skipCode = 125
	mostCode = 127
)

// errSkip says that the command cannot judge a version.
var errSkip = errors.New("the command says that it cannot judge it (exit code 125)")

func newRunner(env *environment, flags *bisectFlags, a *asker, address string) (*runner, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return &runner{
		env: env, command: flags.run, url: u, port: int(a.request.Port), offset: flags.portOffset, touches: a.touches,
		config: standalone.Config{
			ListenAddress: "127.0.0.1", Envoy: flags.envoy, Out: io.Discard, Logger: slog.New(slog.NewTextHandler(env.err, &slog.HandlerOptions{Level: slog.LevelError})),
			PrintState: func(io.Writer, *routing.State) error { return nil },
		},
	}, nil
}

// isGood serves a version and runs the command. A version without a Gateway is bad: there
// is nothing to ask.
func (r *runner) isGood(ctx context.Context, state *routing.State) (good bool, err error) {
	r.tried++
	fmt.Fprintf(r.env.err, "version %d: ", state.Version.Sequence)
	if len(state.Gateways) > 0 {
		err = standalone.WithPast(ctx, r.config, state, r.offset, func(ctx context.Context) (err error) {
			good, err = r.run(ctx, state)
			return err
		})
	}
	switch {
	case errors.Is(err, errSkip):
		fmt.Fprintln(r.env.err, "skipped")
	case err != nil:
		fmt.Fprintln(r.env.err, "failed")
	case good:
		fmt.Fprintln(r.env.err, "good")
	default:
		fmt.Fprintln(r.env.err, "bad")
	}
	return good, err
}

// run runs the command. What it prints goes to standard error.
func (r *runner) run(ctx context.Context, state *routing.State) (bool, error) {
	address := fmt.Sprintf("%s:%d", r.config.ListenAddress, r.port+r.offset)
	here := *r.url
	here.Host = address
	command := exec.CommandContext(ctx, "sh", "-c", r.command)
	command.Stdout, command.Stderr = r.env.err, r.env.err
	command.Env = append(os.Environ(), "RUTTER_URL="+here.String(), "RUTTER_HOST="+r.url.Host, "RUTTER_ADDRESS="+address, "RUTTER_VERSION="+state.Version.String())
	err := command.Run()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &exit):
		return false, fmt.Errorf("--run: %w", err)
	case exit.ExitCode() == skipCode:
		return false, errSkip
	case exit.ExitCode() > mostCode || exit.ExitCode() < 0:
		return false, fmt.Errorf("--run: the command ended with %w, which ends the search: 0 is good, 125 skips, others up to 127 are bad", err)
	}
	return false, nil
}

// search halves among the versions between good and bad. skipped are versions that lie
// ahead of the one found and behind all that are good: it may be one of them.
func (r *runner) search(ctx context.Context, h *history.History, good, bad *routing.State) (turn *routing.Snapshot, skipped []*routing.Snapshot, err error) {
	for _, end := range []struct {
		flag  string
		state *routing.State
		want  bool
	}{{"--good", good, true}, {"--bad", bad, false}} {
		if is, err := r.isGood(ctx, end.state); err != nil {
			return nil, nil, fmt.Errorf("at %s %s: %w", end.flag, end.state.Version, err)
		} else if is != end.want {
			return nil, nil, fmt.Errorf("at %s %s the command says %s: give another %s", end.flag, end.state.Version, map[bool]string{true: "good", false: "bad"}[is], end.flag)
		}
	}
	all, err := h.Versions(ctx, good.Version, bad.Version, r.touches)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, errors.New("no version in between has to do with the request: the command judges by something else")
	}
	// The last that touches the request is as the bad end is. Those up to low are good.
	low, high := -1, len(all)-1
	passed := map[int]bool{}
	for {
		open := slices.DeleteFunc(between(low, high), func(i int) bool { return passed[i] })
		if len(open) == 0 {
			break
		}
		middle := open[len(open)/2]
		state, err := h.State(ctx, all[middle].Version)
		if err != nil {
			return nil, nil, err
		}
		is, err := r.isGood(ctx, state)
		switch {
		case errors.Is(err, errSkip):
			passed[middle] = true
		case err != nil:
			return nil, nil, err
		case is:
			low = middle
		default:
			high = middle
		}
	}
	return all[high], all[low+1 : high], nil
}

// between are the numbers behind low and ahead of high.
func between(low, high int) []int {
	var out []int
	for i := low + 1; i < high; i++ {
		out = append(out, i)
	}
	return out
}

// names are the versions, for people.
func names(list []*routing.Snapshot) string {
	var out []string
	for _, s := range list {
		out = append(out, s.Version.String())
	}
	return strings.Join(out, ", ")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/bundle"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/events/routing"
)

// source says where a log is: one of the three.
type source struct{ dataDir, natsURL, bundle string }

// bind defines the flags that say where a log is.
func (s *source) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.dataDir, "data-dir", "", "data directory `DIR` of rutter standalone, running or not, or of rutter import")
	flags.StringVar(&s.natsURL, "nats-url", "", "NATS server `URL` that holds the log")
	flags.StringVar(&s.bundle, "bundle", "", "`FILE` that rutter export wrote")
}

// check refuses all but one source.
func (s *source) check() error {
	given := 0
	for _, value := range []string{s.dataDir, s.natsURL, s.bundle} {
		if value != "" {
			given++
		}
	}
	if given != 1 {
		return errors.New("say where the log is: --data-dir DIR, --nats-url URL or --bundle FILE, one of them")
	}
	return nil
}

// reading holds the flags that all reading commands share.
type reading struct {
	source
	output  string
	noColor bool
}

func (r *reading) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	r.source.bind(flags)
	flags.StringVarP(&r.output, "output", "o", "table", "table, json or yaml")
	flags.BoolVar(&r.noColor, "no-color", false, "no colours, also on a terminal")
}

// objectArg is for commands that are about one object.
func objectArg(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("say of which object: kind/namespace/name, such as httproute/default/shop")
	}
	return atMost(1)(cmd, args)
}

// openWithin is how long to wait for a log to answer.
const openWithin = 10 * time.Second

// open checks the flags and opens the history. Call the function returned when done.
func (r *reading) open(ctx context.Context, env *environment) (*history.History, display.Format, func(), error) {
	format, err := display.ParseFormat(r.output)
	if err != nil {
		return nil, "", nil, err
	}
	log, err := r.openLog(ctx, env)
	if err != nil {
		return nil, "", nil, err
	}
	h, err := history.Open(ctx, log)
	if err != nil {
		log.Close()
		return nil, "", nil, err
	}
	due := paced(env)
	h.Progress = func(done, of uint64) {
		if due() {
			fmt.Fprintf(env.err, "read %d of %d events\n", done, of)
		}
	}
	return h, format, log.Close, nil
}

// openLog opens the log that the flags name.
func (r *reading) openLog(ctx context.Context, env *environment) (events.Log, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	return env.open(ctx, r.source)
}

// colours tells whether to use them.
func (r *reading) colours(env *environment) bool { return env.colours && !r.noColor }

// answer is what a command has found; bad is what exit code 1 is for.
type answer interface {
	write(w io.Writer, colours bool) error
	bad() bool
}

// tell prints an answer in the form that was asked for.
func (r *reading) tell(env *environment, format display.Format, a answer) error {
	var err error
	if format == display.Table {
		err = a.write(env.out, r.colours(env))
	} else {
		err = format.Write(env.out, a)
	}
	if err == nil && a.bad() {
		return errFound
	}
	return err
}

// openLog opens the log that s names.
func openLog(ctx context.Context, s source) (events.Log, error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if s.dataDir != "" {
		log, err := natslog.OpenDataDir(ctx, s.dataDir, logger)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no log in %s: give the directory that `rutter standalone` names when it starts, .rutter/<name of DIR> by default", s.dataDir)
		}
		return log, err
	}
	if s.bundle != "" {
		return bundle.Open(s.bundle)
	}
	log, err := natslog.Connect(ctx, natslog.Config{URL: s.natsURL, Name: "rutter", Logger: logger})
	if errors.Is(err, natslog.ErrAddress) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: is it running, is that its address, and may you use it?", err)
	}
	return log, nil
}

// at is what was published at T, which may be "" for now.
func at(ctx context.Context, h *history.History, env *environment, t string) (*routing.State, error) {
	point, err := history.ParsePoint(t, env.now())
	if err != nil {
		return nil, err
	}
	v, err := h.At(ctx, point)
	if err != nil {
		return nil, err
	}
	return h.State(ctx, v)
}

// gatewayName is namespace/name of the Gateway that arg names, of those that exist
// in one of the states. A name alone will do where it is unique.
func gatewayName(arg string, states ...*routing.State) (string, error) {
	known := map[string]bool{}
	var names []string
	for _, s := range states {
		for _, name := range gatewayNames(s) {
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
		}
	}
	wanted := strings.TrimPrefix(strings.TrimPrefix(arg, "gateways/"), "gateway/")
	var found []string
	for _, name := range names {
		if _, short, _ := strings.Cut(name, "/"); name == wanted || short == wanted {
			found = append(found, name)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", errors.New("several Gateways are called " + arg + ": " + strings.Join(found, ", "))
	case len(names) == 0:
		return "", errors.New("there is no Gateway " + arg + ", nor any other")
	}
	return "", errors.New("there is no Gateway " + arg + "; those that exist: " + strings.Join(names, ", "))
}

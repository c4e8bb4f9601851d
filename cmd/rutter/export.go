package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/transfer"
	"github.com/rutter-gateway/rutter/events"
)

// exportFlags are what `rutter export` can be told.
type exportFlags struct {
	reading
	since, until, file string
	keys               []string
}

func newExportCommand(env *environment) *cobra.Command {
	var flags exportFlags
	cmd := &cobra.Command{
		Use:   "export -f FILE",
		Short: "Write a part of the log to a file that all reading commands take",
		Long: `Write a part of the log to a file, a bundle, that all reading commands take with --bundle: the
events of a time, the state that they begin from, the versions that were published of them,
where the backends were and what the Envoys held. ` + "`rutter import`" + ` makes a data directory of it.

Private keys are left out, although they are sealed in the log, unless --with-key names them.`,
		Example: `  rutter export --since '3h ago' -f incident.rutter --nats-url nats://localhost:4222
  rutter show default/web --at '1h ago' --bundle incident.rutter`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return runExport(cmd.Context(), env, &flags) },
	}
	flags.source.bind(cmd.Flags())
	cmd.Flags().StringVarP(&flags.file, "file", "f", "", "the file to write; - for standard output")
	cmd.Flags().StringVar(&flags.since, "since", "", "T: a time, a duration ago, or a version; the beginning of the log when left out")
	cmd.Flags().StringVar(&flags.until, "until", "", "T; now when left out")
	cmd.Flags().StringArrayVar(&flags.keys, "with-key", nil, "a Secret, as NAMESPACE/NAME, whose private key is taken along, sealed as it is; may be repeated")
	return cmd
}

func runExport(ctx context.Context, env *environment, flags *exportFlags) error {
	if flags.file == "" {
		return errors.New("say where to write: -f FILE, or -f - for standard output")
	}
	o := transfer.Options{By: version, Now: env.now(), Progress: progress(env, "exported")}
	for _, name := range flags.keys {
		namespace, secret, ok := strings.Cut(name, "/")
		if !ok || namespace == "" || secret == "" {
			return fmt.Errorf("--with-key %q: name a Secret as NAMESPACE/NAME", name)
		}
		o.Keys = append(o.Keys, events.Key{Resource: events.Secrets, Namespace: namespace, Name: secret})
	}
	since, err := history.ParsePoint(flags.since, env.now())
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	until, err := history.ParsePoint(flags.until, env.now())
	if err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	log, err := flags.openLog(ctx, env)
	if err != nil {
		return err
	}
	defer log.Close()
	h, err := history.Open(ctx, log)
	if err != nil {
		return err
	}
	if o.Since, o.Until, err = extent(ctx, h, since, until); err != nil {
		return err
	}
	var summary *transfer.Summary
	err = into(flags.file, env.out, func(out io.Writer) error {
		summary, err = transfer.Export(ctx, log, o, out)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.err, carried(summary, "exported to "+flags.file))
	return err
}

// extent is the first and the last event of a range, 0 for no bound. Where a time is
// given it begins with the event that was the last one then, so that what was at that
// time can be asked.
func extent(ctx context.Context, h *history.History, since, until history.Point) (first, last uint64, err error) {
	if since != (history.Point{}) {
		v, err := h.At(ctx, since)
		if err != nil {
			return 0, 0, fmt.Errorf("--since: %w", err)
		}
		first = v.Sequence
	}
	if until != (history.Point{}) {
		v, err := h.At(ctx, until)
		if err != nil {
			return 0, 0, fmt.Errorf("--until: %w", err)
		}
		last = v.Sequence
	}
	return first, last, nil
}

// into writes a file, whole or not at all; - is standard output.
func into(path string, stdout io.Writer, write func(io.Writer) error) error {
	if path == "-" {
		return write(stdout)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	err = errors.Join(write(file), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	return err
}

// carried is one line about what was carried.
func carried(s *transfer.Summary, what string) string {
	var parts []string
	for _, c := range events.Streams(1) {
		if n, ok := s.Messages[c.Name]; ok {
			parts = append(parts, fmt.Sprintf("%d of %s", n, c.Name))
		}
	}
	line := fmt.Sprintf("%s: %d messages (%s), %d checkpoints", what, s.Done(), strings.Join(parts, ", "), s.Checkpoints)
	if s.Bytes > 0 {
		line += fmt.Sprintf(", %d KB", (s.Bytes+999)/1000)
	}
	if s.Keyless > 0 {
		line += fmt.Sprintf("; private keys left out of %d messages", s.Keyless)
	}
	return line
}

// progressEvery is how often long work tells how far it is.
const progressEvery = 2 * time.Second

// paced tells, of each call, whether it is time to tell how far long work is.
func paced(env *environment) (due func() bool) {
	last := env.now()
	return func() bool {
		now := env.now()
		if now.Sub(last) < progressEvery {
			return false
		}
		last = now
		return true
	}
}

// progress tells on standard error how far the work is, where it takes long.
func progress(env *environment, what string) func(transfer.Summary) {
	due := paced(env)
	return func(s transfer.Summary) {
		if due() {
			fmt.Fprintf(env.err, "%s %d of at most %d messages\n", what, s.Done(), s.Of)
		}
	}
}

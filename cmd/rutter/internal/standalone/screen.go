package standalone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest"
	"github.com/rutter-gateway/rutter/internal/memory"
)

// screen tells the user what happens: a table once the first version is served,
// then a line for each version, and a line for each trouble.
type screen struct {
	config   Config
	events   events.Stream
	receipts chan routing.EnvoyReceipt

	mu      sync.Mutex // guards out and said
	said    map[string]string
	started time.Time
}

func newScreen(c Config, stream events.Stream) *screen {
	return &screen{config: c, events: stream, receipts: make(chan routing.EnvoyReceipt, 1024), said: map[string]string{}, started: time.Now()}
}

// Say prints one line.
func (s *screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	if _, err := fmt.Fprintf(s.config.Out, "%s  %s\n", time.Now().Format("15:04:05.000"), line); err != nil {
		s.config.Logger.Warn("output is lost", "error", err)
	}
}

// sayOnce prints a line unless the last one about topic was the same; an empty
// line forgets it.
func (s *screen) sayOnce(topic, line string) {
	s.mu.Lock()
	known := s.said[topic] == line
	if line == "" {
		delete(s.said, topic)
	} else {
		s.said[topic] = line
	}
	s.mu.Unlock()
	if !known && line != "" {
		s.Say("%s", line)
	}
}

// Report is told of all manifests that are refused, and of those newly ignored.
func (s *screen) Report(problems, notices []ingest.Problem) {
	now := map[string]bool{}
	for _, p := range problems {
		now["manifest "+p.Where] = true
		s.sayOnce("manifest "+p.Where, fmt.Sprintf("%s is refused, the last good version stays in force: %s", p.Where, p.Message))
	}
	for _, n := range notices {
		s.Say("%s is ignored: %s", n.Where, n.Message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic := range s.said {
		if strings.HasPrefix(topic, "manifest ") && !now[topic] {
			delete(s.said, topic)
		}
	}
}

// Stalled is told that something cannot go on, and with nil that it does again.
func (s *screen) Stalled(what string) func(error) {
	return func(err error) {
		line := ""
		if err != nil {
			line = fmt.Sprintf("%s waits: %v. Nothing is lost, and serving goes on; make room on the disk.", strings.ToUpper(what[:1])+what[1:], err)
		}
		s.sayOnce(what, line)
	}
}

// Held is told of each change of what an Envoy holds. It never blocks: what is
// not taken in time is only not printed.
func (s *screen) Held(r routing.EnvoyReceipt) {
	select {
	case s.receipts <- r:
	default:
	}
}

// Run prints until ctx ends.
func (s *screen) Run(ctx context.Context, feed *subscription) error {
	defer feed.Close()
	versions := make(chan []*routing.Snapshot)
	failed := make(chan error, 1)
	var reading sync.WaitGroup
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading.Go(func() { failed <- pump(ctx, feed, versions) })
	v := newView()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case batch := <-versions:
			if err := v.take(batch); err != nil {
				return err
			}
		case r := <-s.receipts:
			v.held[r.Gateway] = r
			s.refused(v, r)
		}
		if err := s.advance(ctx, v); err != nil {
			return err
		}
		none := ""
		if v.seen && len(v.served) == 0 {
			none = "No Gateway is served; `rutter show --data-dir " + s.config.DataDir + "` tells why."
		}
		s.sayOnce("gateways", none)
	}
}

func pump(ctx context.Context, feed *subscription, to chan<- []*routing.Snapshot) error {
	for {
		batch, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		select {
		case to <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// advance prints what has come true.
func (s *screen) advance(ctx context.Context, v *view) error {
	for len(v.waiting) > 0 && v.has(v.waiting[0].version) {
		next := v.waiting[0]
		v.waiting = v.waiting[1:]
		if v.state == nil {
			served := ""
			if len(v.served) > 0 {
				served = fmt.Sprintf("  (Envoy had it after %s)", v.since().Sub(next.time).Round(10*time.Microsecond))
			}
			s.Say("version %d  %s  →  %s%s", next.version.Sequence, s.causes(ctx, next.causes), next.effects, served)
			continue
		}
		if len(v.waiting) > 0 {
			continue
		}
		if err := s.first(v.state); err != nil {
			return err
		}
		v.state = nil
		memory.GiveBack()
	}
	return nil
}

// first prints the table and says that everything is ready.
func (s *screen) first(state *routing.State) error {
	var table bytes.Buffer
	if err := s.config.PrintState(&table, state); err != nil {
		return err
	}
	s.mu.Lock()
	_, err := s.config.Out.Write(table.Bytes())
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.Say("Serving version %d after %s. Changes in %s are served as they are saved; Ctrl-C ends.",
		state.Version.Sequence, time.Since(s.started).Round(time.Millisecond), s.config.Dir)
	return ready(s.config.ReadyFile, state.Version)
}

// ready writes the ready file, whole; "" is none.
func ready(path string, version events.Version) error {
	if path == "" {
		return nil
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err := os.WriteFile(temporary, []byte(version.String()+"\n"), 0o600)
	if err = errors.Join(err, os.Rename(temporary, path)); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// refused prints each resource that an Envoy refused, once.
func (s *screen) refused(v *view, r routing.EnvoyReceipt) {
	for _, refusal := range r.Refused {
		topic := r.Node + refusal.Type + refusal.Name + refusal.Digest.String()
		if !v.refusals[topic] {
			v.refusals[topic] = true
			s.Say("The Envoy of Gateway %s refused a part of %s; the rest is served: %s", r.Gateway, history.Object(refusal.Origin), refusal.Reason)
		}
	}
}

const namedCauses = 3

// causes names the objects whose events, at these sequences, made a version.
func (s *screen) causes(ctx context.Context, sequences []uint64) string {
	var names []string
	for _, sequence := range sequences {
		if len(names) == namedCauses {
			break
		}
		m, err := s.events.Get(ctx, sequence)
		if err != nil {
			continue
		}
		e, err := events.Decode(m)
		if err != nil || e.Type == events.TypeEpoch {
			continue
		}
		name := history.Object(e.Key)
		if e.Type == events.ObjectDeleted {
			name += " deleted"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if more := len(sequences) - len(names); more > 0 && len(names) == namedCauses {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	if len(names) == 0 {
		return "start"
	}
	return strings.Join(names, ", ")
}

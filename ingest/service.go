package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
	"github.com/rutter-gateway/rutter/ingest/internal/record"
)

// Config says what is recorded, and where.
type Config struct {
	// Dir is the directory of manifests.
	Dir string
	// Cluster is what the events say they come from; Holder names this process.
	Cluster, Holder string
	// Sole is set when no other process can be writing, because the log is this
	// process's own: then nothing waits for a rival's heartbeat.
	Sole bool
	// Settings are recorded with each epoch. Resources are filled in here.
	Settings          events.Settings
	Events, Endpoints events.Stream
	Bucket            events.Bucket
	// Settle is how long a document must be gone to count as deleted; zero is the default.
	Settle time.Duration
	// Report is told what is wrong with manifests, each time that changes: all
	// problems there are, and the notices that are new.
	Report func(problems, notices []Problem)
	// Stalled is told that recording cannot go on for now and, with nil, that it does again.
	Stalled func(error)
	Now     func() time.Time
	Logger  *slog.Logger
}

// Problem is a manifest that is refused or ignored.
type Problem struct {
	// Where is file:line (document n).
	Where   string
	Message string
}

// IndexBucket is the object store of the checkpoints of the index.
const IndexBucket = index.Bucket

// checkpointEvery is after how many recorded events the index is stored.
const checkpointEvery = 10_000

// retryAfter is how long to wait before a full log is tried again.
const retryAfter = time.Second

// Resources are those that are listed and followed, in the order of their brackets.
func Resources() []string {
	return []string{
		events.GatewayClasses, events.Gateways, events.HTTPRoutes, events.ReferenceGrants,
		events.Services, events.Secrets, events.Namespaces, events.EndpointSlices,
	}
}

// Run records until ctx ends. It returns an error when the log refuses for good
// ([events.ErrFenced]: another ingest took over) or cannot be read.
func Run(ctx context.Context, c Config) error {
	sealer, err := keypair.NewSealer(c.Settings.Recipient)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	c.Settings.Resources = Resources()
	s := &service{Config: c, sealer: sealer}
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	defer s.close(ctx)
	if err := s.follow(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("ingest: %w", err)
	}
	return nil
}

type service struct {
	Config
	sealer            *keypair.Sealer
	events, endpoints *output
	recorder          *record.Recorder
}

// output is one stream with what is recorded in it.
type output struct {
	name   string
	stream events.Stream
	writer events.Writer
	index  *index.Index
	since  int // events since the index was stored
}

func (s *service) open(ctx context.Context) error {
	var err error
	if s.endpoints, err = s.openOutput(ctx, events.StreamEndpoints, s.Endpoints, nil); err != nil {
		return err
	}
	if s.events, err = s.openOutput(ctx, events.StreamEvents, s.Events, &s.Settings); err != nil {
		return err
	}
	s.recorder = &record.Recorder{Cluster: s.Cluster, Sealer: s.sealer, Now: s.Now, Events: s.events.index, Endpoints: s.endpoints.index}
	return nil
}

// openOutput takes the lease of a stream, then reads what was recorded up to there.
func (s *service) openOutput(ctx context.Context, name string, stream events.Stream, settings *events.Settings) (*output, error) {
	recipient, err := lastRecipient(ctx, stream, events.GuardSubject(name, s.Cluster))
	if err != nil {
		return nil, err
	}
	writer, err := stream.Acquire(ctx, events.LeaseConfig{
		Cluster: s.Cluster, Holder: s.Holder, Sole: s.Sole,
		Open: func(epoch uint64) events.Message { return s.guard(name, epoch, settings) },
	})
	if err != nil {
		return nil, fmt.Errorf("take the lease of %s: %w", name, err)
	}
	out := &output{name: name, stream: stream, writer: writer}
	if out.index, err = index.Load(ctx, s.Bucket, name, stream); err != nil {
		return nil, err
	}
	if settings != nil && recipient != settings.Recipient {
		// Keys that were sealed to another recipient have to be sealed anew.
		for key, entry := range out.index.Entries {
			if key.Resource == events.Secrets {
				entry.Hash = ""
			}
		}
	}
	return out, nil
}

// lastRecipient is to whom keys were sealed in the epoch before; "" if there was none.
func lastRecipient(ctx context.Context, stream events.Stream, guard string) (string, error) {
	m, err := stream.Last(ctx, guard)
	if errors.Is(err, events.ErrNotFound) {
		return "", nil
	}
	var opened events.EpochOpened
	if err == nil {
		err = json.Unmarshal(m.Data, &opened)
	}
	if err != nil {
		return "", fmt.Errorf("read the last epoch: %w", err)
	}
	if opened.Settings == nil {
		return "", nil
	}
	return opened.Settings.Recipient, nil
}

func (s *service) guard(stream string, epoch uint64, settings *events.Settings) events.Message {
	return events.Encode(events.Event{
		ID: fmt.Sprintf("epoch/%s/%d", stream, epoch), Type: events.TypeEpoch, Cluster: s.Cluster,
		Key: events.EpochKey(stream), Time: s.Now().UTC(), Epoch: epoch,
		Data: mustJSON(events.EpochOpened{Epoch: epoch, Holder: s.Holder, Settings: settings}),
	})
}

// mustJSON encodes one of our own payloads, which hold plain data only.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ingest: encode %T: %v", v, err))
	}
	return data
}

func (s *service) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, out := range []*output{s.endpoints, s.events} {
		if err := out.writer.Close(ctx); err != nil {
			s.Logger.Warn("lease was not given up", "stream", out.name, "error", err)
		}
	}
}

// follow lists the directory between sync brackets, and then records each change.
func (s *service) follow(ctx context.Context) error {
	reader, err := manifests.Open(manifests.Config{Dir: s.Dir, Settle: s.Settle, Recorded: s.recorded(), Logger: s.Logger})
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := s.bracket(ctx, events.TypeSyncStart); err != nil {
		return err
	}
	for first := true; ; first = false {
		changes, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if err := s.record(ctx, changes); err != nil {
			return err
		}
		if first {
			if err := s.bracket(ctx, events.TypeSyncDone); err != nil {
				return err
			}
		}
		if first || len(changes.Problems)+len(changes.Notices) > 0 || len(reader.Problems()) > 0 {
			s.report(reader.Problems(), changes.Notices)
		}
	}
}

func (s *service) report(problems []manifests.Problem, notices []manifests.Notice) {
	var refused, ignored []Problem
	for _, p := range problems {
		refused = append(refused, Problem{Where: p.Source.String(), Message: p.Message})
	}
	for _, n := range notices {
		ignored = append(ignored, Problem{Where: n.Source.String(), Message: n.Message})
	}
	s.Report(refused, ignored)
}

// recorded is what the directory is compared with.
func (s *service) recorded() []manifests.Recorded {
	var list []manifests.Recorded
	for _, out := range []*output{s.events, s.endpoints} {
		for key, e := range out.index.Entries {
			r := manifests.Recorded{Key: key, File: e.File, Hash: e.Hash, Object: e.Object}
			if key.Resource == events.Secrets {
				r.Hash = "" // the recorded form has no private key to compare with
			}
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b manifests.Recorded) int { return a.Key.Compare(b.Key) })
	return list
}

// bracket opens or closes the listing of every resource.
func (s *service) bracket(ctx context.Context, kind events.Type) error {
	brackets := map[*output][]events.Event{}
	for _, resource := range Resources() {
		out := s.events
		if resource == events.EndpointSlices {
			out = s.endpoints
		}
		brackets[out] = append(brackets[out], events.Event{
			ID:   fmt.Sprintf("epoch/%s/%d/%s/%s", out.name, out.writer.Epoch(), kind, resource),
			Type: kind, Cluster: s.Cluster, Key: events.SyncKey(resource), Time: s.Now().UTC(),
			Data: mustJSON(events.Sync{Resource: resource}),
		})
	}
	// Endpoints first: who waits for both finds them when routing is published.
	if err := s.append(ctx, s.endpoints, brackets[s.endpoints]); err != nil {
		return err
	}
	return s.append(ctx, s.events, brackets[s.events])
}

func (s *service) record(ctx context.Context, changes manifests.Changes) error {
	batch, err := s.recorder.Batch(changes)
	if err != nil {
		return err
	}
	if err := s.append(ctx, s.endpoints, batch.EndpointsApplied); err != nil {
		return err
	}
	if err := s.append(ctx, s.events, batch.Events); err != nil {
		return err
	}
	return s.append(ctx, s.endpoints, batch.EndpointsDeleted)
}

// few is up to how many events are appended one by one, which on a single
// server is faster than an atomic batch; atomic batches are of many.
const (
	few  = 6
	many = 500
)

// append records events and folds them into the index. While the log is full it
// waits and tries again: nothing is lost.
func (s *service) append(ctx context.Context, out *output, list []events.Event) error {
	for len(list) > 0 {
		part := list[:min(len(list), many)]
		messages := make([]events.Message, len(part))
		for i := range part {
			part[i].Epoch = out.writer.Epoch()
			messages[i] = events.Encode(part[i])
		}
		write := out.writer.AppendAtomic
		if len(messages) <= few {
			write = out.writer.Append
		}
		last, err := write(ctx, messages...)
		stored := 0
		if last > out.index.Position.Sequence {
			stored = min(len(part), int(last-out.index.Position.Sequence))
		}
		for i := range part[:stored] {
			part[i].Sequence = out.index.Position.Sequence + 1
			if err := out.index.Apply(part[i]); err != nil {
				return err
			}
		}
		list = list[stored:]
		if err := s.afterAppend(ctx, out, stored, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) afterAppend(ctx context.Context, out *output, stored int, err error) error {
	switch {
	case errors.Is(err, events.ErrFull):
		s.Stalled(fmt.Errorf("record to %s: %w", out.name, err))
		select {
		case <-time.After(retryAfter):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	case err != nil:
		return fmt.Errorf("record to %s: %w", out.name, err)
	}
	s.Stalled(nil)
	if out.since += stored; out.since < checkpointEvery {
		return nil
	}
	out.since = 0
	if err := out.index.Save(ctx, s.Bucket, out.name); err != nil {
		s.Logger.Warn("index was not stored", "stream", out.name, "error", err)
	}
	return nil
}

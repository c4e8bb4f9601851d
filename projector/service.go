package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/internal/checkpoint"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// Config says what is folded and where it is published.
type Config struct {
	// Cluster is the cluster whose routing this is; Holder names this process.
	Cluster, Holder string
	// Sole is set when no other process can be writing, because the log is this
	// process's own.
	Sole              bool
	Events, Snapshots events.Stream
	// Folds and Versions hold the checkpoints of the fold and of SNAPSHOTS
	// (checkpoint.Bucket, routing.CheckpointBucket).
	Folds, Versions events.Bucket
	// CheckpointEvery is after how many events a checkpoint is due; 0 is 10,000.
	CheckpointEvery uint64
	// CheckpointSoon is how long after that, and after the start, one is taken, and
	// CheckpointInterval where fewer events are folded; 1 min and 6 h when zero.
	CheckpointSoon, CheckpointInterval time.Duration
	// Stalled is told that publishing cannot go on for now and, with nil, that it does again.
	Stalled    func(error)
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// FoldBucket is the object store of the checkpoints of the fold.
const FoldBucket = checkpoint.Bucket

// Covered is the sequence of EVENTS up to which the projector can start from a
// checkpoint: what retention removes after it, it cannot know.
func Covered(ctx context.Context, folds events.Bucket, info events.StreamInfo) (uint64, error) {
	return checkpoint.Covered(ctx, folds, info)
}

// chunkBytes is how much of a version goes into one message, where the log takes
// that much: half of what a NATS server allows by default.
const chunkBytes = 512 << 10

const (
	defaultCheckpointEvery    = 10_000
	defaultCheckpointSoon     = time.Minute
	defaultCheckpointInterval = 6 * time.Hour
	retryAfter                = time.Second
	// standByAfter is how long the lease may take before this projector is one that
	// stands by: without a holder it is there sooner.
	standByAfter = time.Second
)

// Service is one projector.
type Service struct {
	Config
	metrics *metrics
	engine  *replay.Engine
	chunk   int
	writer  events.Writer
	state   atomic.Pointer[error]
}

// Reasons for which a projector is not ready.
var (
	errStarting = errors.New("reading the log")
	errBehind   = errors.New("folding what was recorded before the start")
	errNotReady = errors.New("the listing of a resource is not complete yet")
)

// New checks the configuration and registers the metrics.
func New(c Config) (*Service, error) {
	if c.Cluster == "" || c.Holder == "" || c.Stalled == nil || c.Now == nil || c.Logger == nil || c.Registerer == nil {
		return nil, errors.New("projector: an incomplete configuration")
	}
	c.CheckpointEvery = cmp.Or(c.CheckpointEvery, defaultCheckpointEvery)
	c.CheckpointSoon = cmp.Or(c.CheckpointSoon, defaultCheckpointSoon)
	c.CheckpointInterval = cmp.Or(c.CheckpointInterval, defaultCheckpointInterval)
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("projector: %w", err)
	}
	return &Service{Config: c, metrics: m}, nil
}

// Ready is the reason why nothing is published: nil for one that publishes, and for
// one that stands by because another publishes.
func (s *Service) Ready() error {
	if reason := s.state.Load(); reason != nil {
		return *reason
	}
	return nil
}

func (s *Service) setState(reason error) { s.state.Store(&reason) }

// Run publishes until ctx ends. It returns an error when the log refuses for
// good ([events.ErrFenced]: another projector took over), cannot be read, or
// holds an event that this build does not understand.
func (s *Service) Run(ctx context.Context) error {
	err := s.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("projector: %w", err)
}

func (s *Service) run(ctx context.Context) error {
	s.setState(errStarting)
	standBy := time.AfterFunc(standByAfter, func() { s.setState(nil) })
	writer, err := s.Snapshots.Acquire(ctx, events.LeaseConfig{Cluster: s.Cluster, Holder: s.Holder, Sole: s.Sole, Open: s.guard})
	if err != nil {
		standBy.Stop()
		return fmt.Errorf("take the lease of SNAPSHOTS: %w", err)
	}
	standBy.Stop()
	s.setState(errStarting)
	s.writer = writer
	defer s.closeWriter(ctx)
	behind, err := s.restore(ctx)
	if err != nil {
		return err
	}
	// The last checkpoint is taken once nothing is published any more: with ctx it
	// would race with the version that is being published, and might miss it.
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	checkpoints := checkpoint.Start(working, checkpoint.Config{
		Events: s.Events, Snapshots: s.Snapshots, Folds: s.Folds, Versions: s.Versions,
		Every: s.CheckpointEvery, Soon: s.CheckpointSoon, Interval: s.CheckpointInterval, Logger: s.Logger,
	}, s.engine.State().Version.Sequence)
	defer checkpoints.Wait()
	defer end()

	var measuring sync.WaitGroup
	defer measuring.Wait()
	measure, stop := context.WithCancel(ctx)
	defer stop()
	s.metrics.folded.Store(s.engine.State().Version.Sequence)
	measuring.Go(func() { s.metrics.lag.Measure(measure, events.StreamEvents, s.Events, s.metrics.folded.Load) })

	reader := s.Events.Reader(s.engine.State().Version.Sequence + 1)
	defer reader.Close()
	for {
		if s.engine.State().Version.Sequence >= behind {
			if err := s.publish(ctx); err != nil {
				return err
			}
			checkpoints.Reached(s.engine.State().Version.Sequence)
		}
		s.tell(behind)
		if err := s.fold(ctx, reader); err != nil {
			return err
		}
	}
}

// tell says how far the projector is.
func (s *Service) tell(behind uint64) {
	state := s.engine.State()
	s.metrics.folded.Store(state.Version.Sequence)
	switch {
	case state.Version.Sequence < behind:
		s.setState(errBehind)
	case !state.Ready():
		s.setState(errNotReady)
	default:
		s.setState(nil)
	}
}

// restore loads the fold and what was published. Nothing may be projected
// before the fold has reached the sequence behind: until then it is in the past.
func (s *Service) restore(ctx context.Context) (behind uint64, err error) {
	info, err := s.Events.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("open EVENTS: %w", err)
	}
	state, err := checkpoint.Load(ctx, s.Folds, info, info.Last, fold.Values) // checkpoints are made beside this, from the log
	if err != nil {
		return 0, err
	}
	if state.Partial() {
		s.Logger.Warn("events are lost that no checkpoint holds; nothing is published before ingest has recorded all objects again",
			"stream", events.StreamEvents, "seq", info.First)
	}
	follower, err := routing.Follow(ctx, s.Snapshots, s.Versions)
	if err != nil {
		return 0, err
	}
	defer follower.Close()
	published, err := follower.Load(ctx)
	if err != nil {
		return 0, err
	}
	snapshots, err := s.Snapshots.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("open SNAPSHOTS: %w", err)
	}
	s.chunk = min(chunkBytes, snapshots.MaxData)
	s.engine = replay.FromState(state)
	s.engine.Resume(published)
	return info.Last, nil
}

func (s *Service) fold(ctx context.Context, reader events.Reader) error {
	messages, err := reader.Next(ctx)
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	batch := make([]events.Event, 0, len(messages))
	for _, m := range messages {
		e, err := events.Decode(m)
		if err != nil {
			return err
		}
		batch = append(batch, e)
	}
	started := time.Now()
	err = s.engine.Fold(batch...)
	s.metrics.fold.Observe(time.Since(started).Seconds())
	return err
}

// publish appends the version that the fold has come to, if it is a new one.
func (s *Service) publish(ctx context.Context) (err error) {
	started := time.Now()
	defer func() { s.metrics.reconcile.Done(time.Since(started), err) }()
	snap := s.engine.Project()
	took := s.engine.Took()
	s.metrics.route.Observe(took.Route.Seconds())
	s.metrics.envoy.Observe(took.Envoy.Seconds())
	for _, problem := range s.engine.Problems() {
		s.metrics.problems.Inc()
		namespace, name, _ := strings.Cut(problem.Gateway, "/")
		about := process.About(events.Key{Resource: events.Gateways, Namespace: namespace, Name: name}, 0, 0)
		s.Logger.Error("output left out because it is invalid", about, slog.String("error", problem.Message))
	}
	if snap == nil {
		return nil
	}
	messages, err := routing.EncodeSnapshot(s.Cluster, snap, s.chunk)
	if err != nil {
		return err
	}
	for {
		_, err := s.writer.AppendAtomic(ctx, messages...)
		if !errors.Is(err, events.ErrFull) {
			if err != nil {
				return fmt.Errorf("publish version %s: %w", snap.Version, err)
			}
			s.Stalled(nil)
			s.metrics.published(snap, messages, s.Now())
			return nil
		}
		s.Stalled(fmt.Errorf("publish version %s: %w", snap.Version, err))
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) guard(epoch uint64) events.Message {
	return events.Encode(events.Event{
		ID: fmt.Sprintf("epoch/%s/%d", events.StreamSnapshots, epoch), Type: events.TypeEpoch, Cluster: s.Cluster,
		Key: events.EpochKey(events.StreamSnapshots), Time: s.Now().UTC(), Epoch: epoch,
		Data: fmt.Appendf(nil, `{"epoch":%d,"holder":%q}`, epoch, s.Holder),
	})
}

func (s *Service) closeWriter(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.writer.Close(ctx); err != nil {
		s.Logger.Warn("lease was not given up", "stream", events.StreamSnapshots, "error", err)
	}
}

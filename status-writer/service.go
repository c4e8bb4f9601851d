package statuswriter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// Snapshots are the versions: a [routing.Follower].
type Snapshots interface {
	// Load is the newest version there is, Next what comes after it.
	Load(ctx context.Context) (*routing.State, error)
	Next(ctx context.Context) ([]*routing.Snapshot, error)
}

// Receipts are receipts from now on: an [events.Reader] of RECEIPTS, an
// [events.Listener] to what the servers repeat.
type Receipts interface {
	Next(ctx context.Context) ([]events.Message, error)
}

// ErrUnavailable is wrapped by the errors of an [Applier] that have nothing to do
// with the object: the next one would fail alike.
var ErrUnavailable = errors.New("the API is not available")

// Applier is where the statuses are. It is used by several goroutines at a time,
// never for one object by two.
type Applier interface {
	// Apply makes the status of an object what change says, given the present one,
	// and tells whether that took a write. change may be called more than once. An
	// object that is not there, or is there with another UID, needs no status.
	Apply(ctx context.Context, key events.Key, change func(conditions.Object) conditions.Object) (wrote bool, err error)
	// Remove takes back what was applied to an object that has no verdict any more,
	// and tells whether that took a write.
	Remove(ctx context.Context, key events.Key) (wrote bool, err error)
	// Applied are the objects that may have a status of ours.
	Applied(ctx context.Context) ([]events.Key, error)
	// Changed waits for objects that appeared, or whose status was changed by
	// somebody else.
	Changed(ctx context.Context) ([]events.Key, error)
}

// Config of a service.
type Config struct {
	Snapshots Snapshots
	Receipts  Receipts
	// Heartbeats are the receipts that the servers repeat, so that a service that
	// starts has the whole picture within [events.HeartbeatEvery]; nil where they do not.
	Heartbeats Receipts
	// Measured is the stream SNAPSHOTS, to tell how far the service is behind it; nil
	// where nobody asks.
	Measured       process.Measured
	Applier        Applier
	ControllerName string
	// Silence is after how long without a receipt an xDS server counts as gone; 0 is
	// never, for a server that lives and dies with this process.
	Silence time.Duration
	// Workers is how many objects are written at a time; 8 when zero.
	Workers    int
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Service writes statuses. Make it with [New].
type Service struct {
	Config
	metrics *metrics
	caught  atomic.Bool   // up with SNAPSHOTS
	read    atomic.Uint64 // the last sequence of SNAPSHOTS

	// All below belongs to the goroutine of Run.
	state   *routing.State
	opened  opened
	servers map[string]*server
	fleets  map[string]conditions.Fleet
	// waiting are, per Gateway, the objects whose generation its Envoys have yet to run.
	waiting map[string]map[events.Key]struct{}
	// waitsFor is the same the other way round.
	waitsFor map[events.Key][]string
	queue    *queue
	started  time.Time
	// stale tells that objects without a verdict may still have a status, staleDue
	// when to look for them.
	stale    bool
	staleDue time.Time
}

// New checks c.
func New(c Config) (*Service, error) {
	if c.Snapshots == nil || c.Receipts == nil || c.Applier == nil || c.Logger == nil || c.Registerer == nil || c.ControllerName == "" {
		return nil, errors.New("status-writer needs snapshots, receipts, an applier, a controller name, a logger and a registerer")
	}
	if c.Workers <= 0 {
		c.Workers = 8
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &Service{
		Config: c, metrics: m, state: routing.NewState(), opened: newOpened(events.Version{}), servers: map[string]*server{}, fleets: map[string]conditions.Fleet{},
		waiting: map[string]map[events.Key]struct{}{}, waitsFor: map[events.Key][]string{}, queue: newQueue(), stale: true,
	}, nil
}

// errStarting is why a service is not ready at first.
var errStarting = errors.New("reading SNAPSHOTS")

// Ready is nil once the newest version is known, or else the reason why not.
func (s *Service) Ready() error {
	if !s.caught.Load() {
		return errStarting
	}
	return nil
}

// Run writes statuses until ctx ends, which is no error, or the log cannot be
// read any more: then make a new service. It can be run once.
func (s *Service) Run(ctx context.Context) error {
	s.started = time.Now()
	state, err := s.Snapshots.Load(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write statuses: %w", err)
	}
	s.takeState(state)
	s.caught.Store(true)

	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	n := news{
		snapshots: make(chan []*routing.Snapshot), receipts: make(chan []events.Message), heartbeats: make(chan []events.Message),
		changed: make(chan []events.Key), failed: make(chan error, 4),
	}
	s.noteRead()
	readers.Go(func() { pump(ctx, s.nextSnapshots, n.snapshots, n.failed) })
	readers.Go(func() { pump(ctx, s.Receipts.Next, n.receipts, n.failed) })
	readers.Go(func() { pump(ctx, s.Applier.Changed, n.changed, n.failed) })
	if s.Heartbeats != nil {
		readers.Go(func() { pump(ctx, s.Heartbeats.Next, n.heartbeats, n.failed) })
	}
	if s.Measured != nil {
		readers.Go(func() { s.metrics.lag.Measure(ctx, events.StreamSnapshots, s.Measured, s.read.Load) })
	}
	err = s.loop(ctx, n)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("write statuses: %w", err)
}

func (s *Service) nextSnapshots(ctx context.Context) ([]*routing.Snapshot, error) {
	batch, err := s.Snapshots.Next(ctx)
	s.noteRead()
	return batch, err
}

// noteRead is for the goroutine that reads.
func (s *Service) noteRead() {
	if at, ok := s.Snapshots.(interface{ Position() events.Version }); ok {
		s.read.Store(at.Position().Sequence)
	}
}

// news is what comes in.
type news struct {
	snapshots            chan []*routing.Snapshot
	receipts, heartbeats chan []events.Message
	changed              chan []events.Key
	failed               chan error
}

// pump hands on what next reads.
func pump[T any](ctx context.Context, next func(context.Context) ([]T, error), out chan<- []T, failed chan<- error) {
	for {
		batch, err := next(ctx)
		if err != nil {
			failed <- err
			return
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return
		}
	}
}

// tick is how often silent servers are looked for.
const tick = time.Second

func (s *Service) loop(ctx context.Context, n news) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		s.flush(ctx)
		s.metrics.failing.Set(float64(s.queue.failing()))
		var due <-chan time.Time
		if at, ok := s.queue.next(); ok {
			due = time.After(time.Until(at))
		}
		select {
		case <-due:
		case batch := <-n.snapshots:
			if err := s.takeSnapshots(batch); err != nil {
				return err
			}
		case batch := <-n.receipts:
			if err := s.takeReceipts(batch); err != nil {
				return err
			}
		case batch := <-n.heartbeats:
			s.takeHeartbeats(batch)
		case keys := <-n.changed:
			s.takeChanged(keys)
		case now := <-ticker.C:
			s.dropSilent(now)
			s.queue.forget(now)
		case err := <-n.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) mark(keys ...events.Key) { s.queue.mark(time.Now(), keys...) }

// takeChanged looks again at objects that somebody else wrote. Before the first
// version nothing can be said of any; then all are looked at.
func (s *Service) takeChanged(keys []events.Key) {
	if !s.state.Version.IsZero() {
		s.mark(keys...)
	}
}

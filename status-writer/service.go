package statuswriter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// Snapshots are the versions: a [routing.Follower].
type Snapshots interface {
	// Load is the newest version there is, Next what comes after it.
	Load(ctx context.Context) (*routing.State, error)
	Next(ctx context.Context) ([]*routing.Snapshot, error)
}

// Receipts are the messages of RECEIPTS from now on: an [events.Reader].
type Receipts interface {
	Next(ctx context.Context) ([]events.Message, error)
}

// Applier is where the statuses are. It is used by several goroutines at a time,
// never for one object by two.
type Applier interface {
	// Apply makes the status of an object what change says, given the present one,
	// and tells whether that took a write. change may be called more than once. An
	// object that is not there, or is there with another UID, needs no status.
	Apply(ctx context.Context, key events.Key, change func(conditions.Object) conditions.Object) (wrote bool, err error)
	// Remove takes back what was applied to an object that has no verdict any more.
	Remove(ctx context.Context, key events.Key) error
	// Applied are the objects that have a status of ours.
	Applied(ctx context.Context) ([]events.Key, error)
}

// Config of a service.
type Config struct {
	Snapshots      Snapshots
	Receipts       Receipts
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

	// All below belongs to the goroutine of Run.
	state   *routing.State
	servers map[string]*server
	fleets  map[string]conditions.Fleet
	// waiting are, per Gateway, the objects whose generation its Envoys have yet to run.
	waiting map[string]map[events.Key]struct{}
	// waitsFor is the same the other way round.
	waitsFor map[events.Key][]string
	dirty    map[events.Key]struct{}
	// stale tells that objects without a verdict may still have a status.
	stale bool
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
		Config: c, metrics: m, state: routing.NewState(), servers: map[string]*server{}, fleets: map[string]conditions.Fleet{},
		waiting: map[string]map[events.Key]struct{}{}, waitsFor: map[events.Key][]string{}, dirty: map[events.Key]struct{}{}, stale: true,
	}, nil
}

// Run writes statuses until ctx ends, which is no error, or the log cannot be
// read any more: then make a new service. It can be run once.
func (s *Service) Run(ctx context.Context) error {
	state, err := s.Snapshots.Load(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write statuses: %w", err)
	}
	s.takeState(state)

	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	snapshots, receipts, failed := make(chan []*routing.Snapshot), make(chan []events.Message), make(chan error, 2)
	readers.Go(func() { pump(ctx, s.Snapshots.Next, snapshots, failed) })
	readers.Go(func() { pump(ctx, s.Receipts.Next, receipts, failed) })
	err = s.loop(ctx, snapshots, receipts, failed)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("write statuses: %w", err)
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

// tick is how often silent servers are looked for, and the shortest pause before
// a write is tried again.
const tick = time.Second

func (s *Service) loop(ctx context.Context, snapshots <-chan []*routing.Snapshot, receipts <-chan []events.Message, failed <-chan error) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var again retry
	for {
		again.add(s.flush(ctx), time.Now())
		s.metrics.failing.Set(float64(len(again.keys)))
		more := make(chan struct{}) // closed when there is something left to write
		if len(s.dirty) > 0 {
			close(more)
		}
		select {
		case <-more:
		case batch := <-snapshots:
			for _, snapshot := range batch {
				if err := s.takeSnapshot(snapshot); err != nil {
					return err
				}
			}
		case batch := <-receipts:
			for _, m := range batch {
				if err := s.takeReceipt(m); err != nil {
					return err
				}
			}
		case now := <-ticker.C:
			s.dropSilent(now)
			if again.due(now) {
				s.mark(again.keys...)
				s.stale = s.stale || again.stale
				again.keys, again.stale = nil, false
			}
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) mark(keys ...events.Key) {
	for _, key := range keys {
		s.dirty[key] = struct{}{}
	}
}

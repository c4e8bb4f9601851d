package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/admission"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/record"
)

// Config says what is recorded, and where.
type Config struct {
	// Dir is a directory of manifests to record. The alternative is Kubernetes.
	Dir string
	// Kubernetes is a cluster to record; nil for none.
	Kubernetes *Kubernetes
	// Cluster is what the events say they come from; Holder names this process.
	Cluster, Holder string
	// Sole is set when no other process can be writing, because the log is this
	// process's own: then nothing waits for a rival's heartbeat.
	Sole bool
	// Settings are recorded with each epoch. Resources are filled in here.
	Settings          events.Settings
	Events, Endpoints events.Stream
	// Receipts is where xDS servers report what Envoys refused, which becomes
	// verdicts; nil for none.
	Receipts events.Stream
	// Actors is where it is seen who asks for changes; nil for nowhere.
	Actors *Actors
	// Snapshots is what was published, and Versions its checkpoints
	// (routing.CheckpointBucket), where the routing is found that a RoutingPin names; nil
	// for none, and RoutingPins are then left waiting.
	Snapshots events.Stream
	Versions  events.Bucket
	Bucket    events.Bucket
	// Folded is up to which sequence of EVENTS those who fold it have a checkpoint.
	// Where retention has removed more than that, everything is recorded again. Nil
	// where nobody folds.
	Folded func(context.Context, events.StreamInfo) (uint64, error)
	// Upkeep is how often what is kept beside the log is stored, and ENDPOINTS
	// looked after; 1 h when zero.
	Upkeep time.Duration
	// RelistAfter is after how long all EndpointSlices are recorded again, well
	// before retention removes them; a third of the default retention when zero.
	RelistAfter time.Duration
	// Settle is how long a document must be gone to count as deleted; zero is the default.
	Settle time.Duration
	// Report is told what is wrong with manifests, each time that changes: all
	// problems there are, and the notices that are new.
	Report func(problems, notices []Problem)
	// Stalled is told that recording cannot go on for now and, with nil, that it does again.
	Stalled    func(error)
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Problem is a manifest that is refused or ignored.
type Problem struct {
	// Where is file:line (document n).
	Where   string
	Message string
}

// IndexBucket is the object store of the checkpoints of the index.
const IndexBucket = index.Bucket

const (
	defaultUpkeep      = time.Hour
	defaultRelistAfter = 24 * time.Hour
)

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Kubernetes == nil {
		return newService(c, manifestOrigin{config: c, read: openManifests})
	}
	if c.Dir != "" {
		return nil, errors.New("ingest: a directory and a cluster cannot be recorded at once")
	}
	from, err := newClusterOrigin(c)
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	return newService(c, from)
}

func newService(c Config, from origin) (*Service, error) {
	sealer, err := keypair.NewSealer(c.Settings.Recipient)
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	actors, err := newActors(c)
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	c.Settings.Resources = from.resources()
	c.Upkeep = cmp.Or(c.Upkeep, defaultUpkeep)
	c.RelistAfter = cmp.Or(c.RelistAfter, defaultRelistAfter)
	return &Service{Config: c, origin: from, sealer: sealer, metrics: m, actors: actors, waitsFor: "starting"}, nil
}

// Service records what happens to configuration.
type Service struct {
	Config
	origin  origin
	sealer  *keypair.Sealer
	metrics *metrics
	actors  *admission.Server

	// Of the present epoch:
	clusterUID        string
	events, endpoints *output
	recorder          *record.Recorder
	lists             *lists
	hold              *hold
	tooLarge          *tooLarge
	pins              *pins
	upkeepAt          time.Time

	mu       sync.Mutex
	waitsFor string // why Ready is not nil; "" when it is
}

// epochs records in one epoch after the other until ctx ends.
func (s *Service) epochs(ctx context.Context) error {
	for {
		err := s.epoch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errStartAnew), errors.Is(err, errGap), errors.Is(err, index.ErrLost):
			s.Logger.Warn("a new epoch begins, and everything is listed", "error", err)
		case err != nil:
			return fmt.Errorf("ingest: %w", err)
		}
	}
}

// Ready is nil once every resource is listed, or while another ingest records and
// this one is prepared to take over; otherwise it says what is waited for.
func (s *Service) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waitsFor == "" {
		return nil
	}
	return errors.New(s.waitsFor)
}

func (s *Service) setReady(waitsFor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitsFor = waitsFor
}

// epoch takes the leases and records until something ends that.
func (s *Service) epoch(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close(ctx)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var watch sync.WaitGroup
	defer watch.Wait()
	for _, out := range s.outputs() {
		watch.Go(func() {
			select {
			case <-out.writer.Lost():
				end(fmt.Errorf("record to %s: %w", out.name, events.ErrFenced))
			case <-ctx.Done():
			}
		})
	}
	err := s.follow(ctx)
	end(nil)
	if lost := context.Cause(ctx); errors.Is(lost, events.ErrFenced) {
		return lost
	}
	return err
}

func (s *Service) outputs() []*output { return []*output{s.endpoints, s.events} }

func (s *Service) open(ctx context.Context) error {
	var err error
	// Before the lease: whoever holds it records, if only verdicts, and a source
	// that does not answer is no reason to take that away.
	s.setReady("the source does not answer")
	if s.clusterUID, err = s.origin.identify(ctx); err != nil {
		return err
	}
	if s.endpoints, err = s.openOutput(ctx, events.StreamEndpoints, s.Endpoints, s.Sole, nil); err != nil {
		return err
	}
	// Who holds the lease of ENDPOINTS has no rightful rival for EVENTS: whoever may
	// still hold that one has lost the other, and is refused from here on.
	if s.events, err = s.openOutput(ctx, events.StreamEvents, s.Events, true, &s.Settings); err != nil {
		s.release(ctx, s.endpoints)
		return err
	}
	for key, entry := range s.events.index.Entries {
		if key.Resource == events.Secrets && entry.Recipient != s.Settings.Recipient {
			entry.Again = true // its key is sealed to somebody else
		}
	}
	if err := s.checkGap(ctx); errors.Is(err, errGap) {
		s.events.index.RecordAgain()
	} else if err != nil {
		s.close(ctx)
		return err
	}
	s.recorder = &record.Recorder{
		Cluster: s.Cluster, Sealer: s.sealer, Now: s.Now, Events: s.events.index, Endpoints: s.endpoints.index, Dropped: s.metrics.dropped,
	}
	s.lists = newLists(s.Settings.Resources, s.events.index.Unrecorded(s.Settings.Resources))
	s.hold, s.tooLarge, s.pins = newHold(s), newTooLarge(s), newPins()
	s.upkeepAt = time.Now().Add(s.Upkeep)
	s.setReady(s.lists.waitsFor())
	return nil
}

// close stores what is known and gives up the leases, so that the next ingest
// need neither read much nor wait.
func (s *Service) close(ctx context.Context) {
	s.setReady("ending")
	for _, out := range s.outputs() {
		s.release(ctx, out)
	}
}

func (s *Service) release(ctx context.Context, out *output) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.save(ctx, out)
	if err := out.writer.Close(ctx); err != nil {
		s.Logger.Warn("lease was not given up", "stream", out.name, "error", err)
	}
}

package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// Receipts is where xDS servers report what Envoys refused, which becomes
	// verdicts; nil for none.
	Receipts events.Stream
	Bucket   events.Bucket
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

const (
	defaultUpkeep      = time.Hour
	defaultRelistAfter = 24 * time.Hour
)

// Resources are those that are listed and followed, in the order of their brackets.
func Resources() []string {
	return []string{
		events.GatewayClasses, events.Gateways, events.HTTPRoutes, events.GRPCRoutes, events.TLSRoutes, events.TCPRoutes,
		events.UDPRoutes, events.ReferenceGrants,
		events.Services, events.Secrets, events.Namespaces, events.EndpointSlices,
	}
}

// Run records until ctx ends. It returns an error when the log refuses for good
// ([events.ErrFenced]: another ingest took over) or cannot be read.
func Run(ctx context.Context, c Config) error { return run(ctx, c, openManifests) }

func run(ctx context.Context, c Config, open func(manifests.Config) (source, error)) error {
	sealer, err := keypair.NewSealer(c.Settings.Recipient)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	c.Settings.Resources = Resources()
	c.Upkeep = cmp.Or(c.Upkeep, defaultUpkeep)
	c.RelistAfter = cmp.Or(c.RelistAfter, defaultRelistAfter)
	s := &service{Config: c, source: open, sealer: sealer}
	for {
		err := s.epoch(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, errGap) && !errors.Is(err, index.ErrLost) {
			return fmt.Errorf("ingest: %w", err)
		}
		s.Logger.Warn("a new epoch begins, to record again what the log no longer holds", "error", err)
	}
}

// epoch records under one epoch, until ctx or the epoch ends.
func (s *service) epoch(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close(ctx)
	return s.follow(ctx)
}

type service struct {
	Config
	source            func(manifests.Config) (source, error)
	sealer            *keypair.Sealer
	events, endpoints *output
	recorder          *record.Recorder
	accepted          *accepted
	upkeepAt          time.Time
	problems          []manifests.Problem // as last reported
	reported          bool
}

func (s *service) outputs() []*output { return []*output{s.endpoints, s.events} }

func (s *service) open(ctx context.Context) error {
	var err error
	if s.endpoints, err = s.openOutput(ctx, events.StreamEndpoints, s.Endpoints, nil); err != nil {
		return err
	}
	if s.events, err = s.openOutput(ctx, events.StreamEvents, s.Events, &s.Settings); err != nil {
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
		return err
	}
	s.recorder = &record.Recorder{Cluster: s.Cluster, Sealer: s.sealer, Now: s.Now, Events: s.events.index, Endpoints: s.endpoints.index}
	s.accepted = loadAccepted(ctx, s.Bucket, s.Logger)
	return nil
}

// close stores what is known and gives up the leases, so that the next ingest
// need neither read much nor wait.
func (s *service) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, out := range s.outputs() {
		s.save(ctx, out)
		if err := out.writer.Close(ctx); err != nil {
			s.Logger.Warn("lease was not given up", "stream", out.name, "error", err)
		}
	}
}

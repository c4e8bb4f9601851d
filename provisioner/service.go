package provisioner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// Config of a provisioner.
type Config struct {
	Snapshots Snapshots
	// Measured is the stream SNAPSHOTS, to tell how far the provisioner is behind it.
	Measured process.Measured
	Client   dynamic.Interface
	// ControllerName is that of our GatewayClasses.
	ControllerName string
	// Infra is what the Envoys of all Gateways have in common.
	Infra infra.Config
	// Namespace is this installation's; ServerSecret is where the xDS servers find
	// their certificate, in it.
	Namespace, ServerSecret string
	// Webhook gets a certificate too, and the API server is told whom to trust for it.
	Webhook Webhook
	// Authority reads the CA. It is asked anew each time.
	Authority func() (*pki.Authority, error)
	// CertificateLife is how long certificates are valid; 30 days when zero.
	CertificateLife time.Duration
	Now             func() time.Time
	Logger          *slog.Logger
	Registerer      prometheus.Registerer
}

// Snapshots are the versions: a [routing.Follower].
type Snapshots interface {
	// Load is the newest version there is, Next what comes after it.
	Load(ctx context.Context) (*routing.State, error)
	Next(ctx context.Context) ([]*routing.Snapshot, error)
	// Position is where they are read to. It is not for another goroutine.
	Position() events.Version
}

const (
	certificateLife = 30 * 24 * time.Hour
	// workers is how many Gateways are built at a time.
	workers = 4
	// checkEvery is how often a Gateway is looked after without a reason.
	checkEvery = 10 * time.Minute
	// firstRetry doubles with each failure of a Gateway up to lastRetry.
	firstRetry = 200 * time.Millisecond
	lastRetry  = time.Minute
)

// Service is one provisioner.
type Service struct {
	Config
	metrics *metrics
	fleet   *fleet
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]
	pauses  *pauses
	// known is what is built, by kind: metadata only.
	known map[string]cache.Indexer
	ready atomic.Pointer[error]
	read  atomic.Uint64 // the last sequence of SNAPSHOTS
}

var (
	errNoVersion = errors.New("no version is read yet")
	errNotBuilt  = errors.New("what is built is not read yet")
)

// New checks the configuration and registers the metrics.
func New(c Config) (*Service, error) {
	switch {
	case c.Snapshots == nil || c.Measured == nil || c.Client == nil || c.Authority == nil || c.Now == nil || c.Logger == nil || c.Registerer == nil:
		return nil, errors.New("provisioner: an incomplete configuration")
	case c.ControllerName == "":
		return nil, errors.New("provisioner: a controller name is needed")
	case c.Namespace == "" || c.ServerSecret == "" || c.Infra.EnvoyImage == "" || c.Infra.RutterImage == "":
		return nil, errors.New("provisioner: a namespace, a Secret for xDS servers, and the images are needed")
	case c.Webhook != (Webhook{}) && (c.Webhook.Configuration == "" || c.Webhook.Host == "" || c.Webhook.Secret == ""):
		return nil, errors.New("provisioner: of a webhook the configuration, the host and the Secret are needed")
	case c.Infra.DrainMost < c.Infra.DrainLeast:
		return nil, errors.New("provisioner: draining takes at least longer than it takes at most")
	}
	if _, _, err := net.SplitHostPort(c.Infra.XDSAddress); err != nil {
		return nil, fmt.Errorf("provisioner: address of the xDS server: %w", err)
	}
	if c.CertificateLife == 0 {
		c.CertificateLife = certificateLife
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("provisioner: %w", err)
	}
	s := &Service{Config: c, metrics: m, fleet: newFleet(), pauses: newPauses(), known: map[string]cache.Indexer{}, queue: workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, lastRetry),
	)}
	s.setReady(errNoVersion)
	return s, nil
}

// Ready is the reason why Gateways are not looked after, or nil.
func (s *Service) Ready() error { return *s.ready.Load() }

func (s *Service) setReady(err error) { s.ready.Store(&err) }

// Run builds until ctx ends. It returns an error when the log cannot be read, or
// holds what this build does not understand.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	defer running.Wait()
	defer s.queue.ShutDown()
	// Nothing is taken away before the newest version is known: in an older one, what
	// came later is missing.
	if err := s.load(ctx); err != nil {
		return s.ended(ctx, err)
	}
	running.Go(func() { s.keepServerCertificate(ctx, s.ServerSecret, checkEvery, s.keepXDS) })
	if s.Webhook != (Webhook{}) {
		running.Go(func() { s.keepServerCertificate(ctx, s.Webhook.Secret, trustEvery, s.keepWebhook) })
	}
	running.Go(func() { s.metrics.lag.Measure(ctx, events.StreamSnapshots, s.Measured, s.read.Load) })
	s.setReady(errNotBuilt)
	stop, err := s.watch(ctx)
	if err != nil {
		return s.ended(ctx, err)
	}
	defer stop()
	s.setReady(nil)
	for range workers {
		running.Go(func() { s.work(ctx) })
	}
	for {
		if err := s.take(ctx); err != nil {
			cancel(err)
			s.queue.ShutDown()
			return s.ended(ctx, err)
		}
	}
}

func (s *Service) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return nil
	}
	return fmt.Errorf("provisioner: %w", err)
}

// load reads the newest version, or waits for the first.
func (s *Service) load(ctx context.Context) error {
	state, err := s.Snapshots.Load(ctx)
	if err != nil {
		return err
	}
	if state.Version.IsZero() {
		return s.take(ctx)
	}
	s.read.Store(s.Snapshots.Position().Sequence)
	s.heed(state.Full())
	return nil
}

// take reads the next versions, and asks for the Gateways to be built whose
// infrastructure changed.
func (s *Service) take(ctx context.Context) error {
	snapshots, err := s.Snapshots.Next(ctx)
	if err != nil {
		return err
	}
	s.read.Store(s.Snapshots.Position().Sequence)
	s.heed(snapshots...)
	return nil
}

func (s *Service) heed(snapshots ...*routing.Snapshot) {
	for _, snap := range snapshots {
		for _, changed := range s.fleet.take(snap) {
			s.queue.Add(changed)
		}
	}
	s.metrics.gateways.Set(float64(s.fleet.size()))
}

// keep does what is due for a Gateway or a class, and says of which resource it is.
func (s *Service) keep(ctx context.Context, name types.NamespacedName, in *routing.Infrastructure) (again time.Duration, resource string, err error) {
	if name.Namespace == "" {
		return 0, classes.Resource, s.keepClass(ctx, name.Name)
	}
	again, err = s.reconcile(ctx, name, in)
	return again, "gateways", err
}

// work builds one Gateway, or keeps one class, after the other until the queue is shut down.
func (s *Service) work(ctx context.Context) {
	for {
		gateway, end := s.queue.Get()
		if end {
			return
		}
		started := time.Now()
		in := s.fleet.of(gateway)
		if left := s.pauses.left(gateway, started); in != nil && left > 0 {
			s.queue.AddAfter(gateway, left)
			s.queue.Done(gateway)
			continue
		}
		again, what, err := s.keep(ctx, gateway, in)
		if ctx.Err() == nil {
			s.metrics.reconcile.Done(time.Since(started), err)
		}
		switch {
		case err == nil:
			s.queue.Forget(gateway)
			if in != nil {
				s.queue.AddAfter(gateway, min(again, checkEvery))
			} else {
				s.pauses.forget(gateway)
			}
		case ctx.Err() == nil:
			var generation int64
			if in != nil {
				generation = in.Generation
			}
			about := process.About(events.Key{Resource: what, Namespace: gateway.Namespace, Name: gateway.Name}, generation, s.queue.NumRequeues(gateway)+1)
			s.Logger.Error("Kubernetes does not have what it should; trying again", about, slog.Any("error", err))
			s.queue.AddRateLimited(gateway)
		}
		s.queue.Done(gateway)
	}
}

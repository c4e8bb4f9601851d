package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

const (
	// fieldManager is whom the API server names as the writer.
	fieldManager = "rutter-status-writer"
	// patience is how long one request may take.
	patience = 10 * time.Second
	// maxConflicts is how often a write is made again at once. Beyond it the object
	// waits like after any other failure.
	maxConflicts = 10
)

// Config of [Statuses]. Events is optional.
type Config struct {
	// API is how to reach the Kubernetes API.
	API            *rest.Config
	ControllerName string
	// Events takes the Kubernetes Events, and must not wait; [Recorder] is one.
	Events     interface{ Record(Event) }
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Statuses are those in a Kubernetes cluster. [statuswriter.Applier] says what the
// methods do.
type Statuses struct {
	Config
	clients clients
	cache   *cache
	metrics *metrics

	mu sync.Mutex
	// refused is why a resource cannot be read just now.
	refused map[string]error
}

var _ statuswriter.Applier = (*Statuses)(nil)

// New checks c. Nothing is known of any object before [Statuses.Run].
func New(c Config) (*Statuses, error) {
	if c.API == nil || c.ControllerName == "" || c.Logger == nil || c.Registerer == nil {
		return nil, errors.New("statuses need an API, a controller name, a logger and a registerer")
	}
	clients, err := newClients(c.API)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &Statuses{Config: c, clients: clients, cache: newCache(), metrics: m, refused: map[string]error{}}, nil
}

// Run watches the objects until ctx ends.
func (s *Statuses) Run(ctx context.Context) {
	var watches sync.WaitGroup
	for resource := range kinds() {
		watches.Go(func() { (&watchOf{Statuses: s, resource: resource}).run(ctx) })
	}
	watches.Wait()
}

// Apply implements [statuswriter.Applier]. An object that is not known (yet) needs
// no status; when it appears, Changed tells.
func (s *Statuses) Apply(ctx context.Context, key events.Key, change func(conditions.Object) conditions.Object) (bool, error) {
	wrote, err := s.apply(ctx, key, change)
	if err != nil {
		return false, fmt.Errorf("write status of %s: %w", key, lasting(err))
	}
	return wrote, nil
}

func (s *Statuses) apply(ctx context.Context, key events.Key, change func(conditions.Object) conditions.Object) (bool, error) {
	e, ok := s.cache.get(key)
	for conflicts := 0; ok; conflicts++ {
		wrote, err := s.write(ctx, key, e, change)
		switch {
		case apierrors.IsNotFound(err):
			return false, nil
		case !apierrors.IsConflict(err) || conflicts == maxConflicts:
			return wrote, err
		}
		s.metrics.conflicts.WithLabelValues(key.Resource).Inc()
		if e, ok, err = s.read(ctx, key); err != nil {
			return false, err
		}
	}
	return false, nil
}

// write makes the status in e what change says. It fails with a conflict when
// the object is no longer as in e.
func (s *Statuses) write(ctx context.Context, key events.Key, e entry, change func(conditions.Object) conditions.Object) (bool, error) {
	before, err := decode(key, e)
	if err != nil {
		return false, err
	}
	after := change(before)
	if after.UID != before.UID {
		return false, nil
	}
	body, err := patch(e, before, after)
	if err != nil || body == nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var o object
	err = s.clients.of(key.Resource).Patch(types.MergePatchType).NamespaceIfScoped(key.Namespace, key.Namespace != "").Resource(key.Resource).
		Name(key.Name).SubResource("status").Param("fieldManager", fieldManager).Body(body).Do(ctx).Into(&o)
	if err != nil {
		return false, err
	}
	s.cache.wrote(key, newEntry(&o))
	s.announce(key, before, after)
	return true, nil
}

// read is the object as it is now, from the API server.
func (s *Statuses) read(ctx context.Context, key events.Key) (entry, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var o object
	err := s.clients.of(key.Resource).Get().NamespaceIfScoped(key.Namespace, key.Namespace != "").Resource(key.Resource).Name(key.Name).Do(ctx).Into(&o)
	if apierrors.IsNotFound(err) {
		return entry{}, false, nil
	}
	if err != nil {
		return entry{}, false, err
	}
	e := newEntry(&o)
	s.cache.wrote(key, e)
	return e, true, nil
}

// lasting marks the errors that are none of the object's.
func lasting(err error) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) || answer.Status().Code >= 500 || apierrors.IsTooManyRequests(err) || apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%w: %w", statuswriter.ErrUnavailable, err)
	}
	return err
}

// Remove implements [statuswriter.Applier]: it takes our entries out of
// a status that several controllers share.
// A Gateway, a ListenerSet or a class without a verdict is gone, or another controller's.
func (s *Statuses) Remove(ctx context.Context, key events.Key) (bool, error) {
	if !shared(key.Resource) {
		return false, nil
	}
	wrote, err := s.apply(ctx, key, func(o conditions.Object) conditions.Object { return conditions.Gone(o, s.ControllerName) })
	if err != nil {
		return false, fmt.Errorf("remove status of %s: %w", key, lasting(err))
	}
	return wrote, nil
}

// Applied implements [statuswriter.Applier]. Objects that become known later come
// by Changed.
func (s *Statuses) Applied(context.Context) ([]events.Key, error) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	var keys []events.Key
	for key, e := range s.cache.objects {
		if shared(key.Resource) && len(e.status) > 0 {
			keys = append(keys, key)
		}
	}
	return slices.SortedFunc(slices.Values(keys), events.Key.Compare), nil
}

// Changed implements [statuswriter.Applier].
func (s *Statuses) Changed(ctx context.Context) ([]events.Key, error) {
	for {
		if keys := s.cache.take(); len(keys) > 0 {
			return keys, nil
		}
		select {
		case <-s.cache.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

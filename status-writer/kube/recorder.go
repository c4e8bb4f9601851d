package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	statuswriter "github.com/rutter-gateway/rutter/status-writer"
)

const (
	// maxQueued is how many Events may wait to be written; more are dropped.
	maxQueued = 1000
	// seriesFor is for how long the same Event is counted up instead of written again,
	// and maxSeries of how many that is known.
	seriesFor = 6 * time.Minute
	maxSeries = 4096
	// An Event is tried so often, with twice the wait each time: for half a minute.
	maxTries  = 6
	firstWait = time.Second
)

// Event is a warning about an object.
type Event struct {
	Regarding, Related   corev1.ObjectReference // Related may be empty
	Reason, Action, Note string
}

// Recorder writes Events to the Kubernetes API. What client-go has for that takes in
// the types of every kind of Kubernetes, which is 12 MiB in each process.
type Recorder struct {
	client               rest.Interface
	controller, instance string
	logger               *slog.Logger
	dropped              prometheus.Counter
	queue                chan Event
	// told are the Events of the last minutes. They belong to Run.
	told map[Event]*series
}

// series is an Event that was written, and how often it happened.
type series struct {
	name  string
	count int32
	last  time.Time
}

// RecorderConfig says as whom Events are written: the controller, and which of its
// processes.
type RecorderConfig struct {
	API                  *rest.Config
	Controller, Instance string
	Logger               *slog.Logger
	Registerer           prometheus.Registerer
}

// NewRecorder checks c.
func NewRecorder(c RecorderConfig) (*Recorder, error) {
	if c.API == nil || c.Controller == "" || c.Instance == "" || c.Logger == nil || c.Registerer == nil {
		return nil, errors.New("a recorder of Events needs an API, a controller, an instance, a logger and a registerer")
	}
	scheme := runtime.NewScheme()
	if err := eventsv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("record Kubernetes Events: %w", err)
	}
	config := rest.CopyConfig(c.API)
	config.APIPath, config.GroupVersion = "/apis", &eventsv1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("record Kubernetes Events: %w", err)
	}
	r := &Recorder{
		client: client, controller: c.Controller, instance: c.Instance, logger: c.Logger,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_status_events_dropped_total", Help: "Kubernetes Events that were not written: too many at once, or refused.",
		}),
		queue: make(chan Event, maxQueued), told: map[Event]*series{},
	}
	return r, c.Registerer.Register(r.dropped)
}

// Record has an Event written by Run, and never waits.
func (r *Recorder) Record(e Event) {
	select {
	case r.queue <- e:
	default:
		r.dropped.Inc()
	}
}

// Run writes until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-r.queue:
			if err := r.tell(ctx, e); err != nil && ctx.Err() == nil {
				r.dropped.Inc()
				r.logger.Warn("a Kubernetes Event is not written", "resource", e.Regarding.Kind, "namespace", e.Regarding.Namespace, "name", e.Regarding.Name, "error", err)
			}
		}
	}
}

// tell writes an Event, and tries again while the API is not available.
func (r *Recorder) tell(ctx context.Context, e Event) error {
	wait := firstWait
	for tries := 1; ; tries++ {
		err := r.write(ctx, e, time.Now())
		if err == nil || tries == maxTries || !errors.Is(lasting(err), statuswriter.ErrUnavailable) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
			wait *= 2
		}
	}
}

func (r *Recorder) write(ctx context.Context, e Event, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	namespace := cmp.Or(e.Regarding.Namespace, metav1.NamespaceDefault)
	if known, ok := r.told[e]; ok && now.Sub(known.last) < seriesFor {
		body, err := json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: known.count + 1, LastObservedTime: metav1.NewMicroTime(now)}})
		if err != nil {
			return err
		}
		err = r.client.Patch(types.MergePatchType).Resource("events").Namespace(namespace).Name(known.name).Body(body).Do(ctx).Error()
		if err == nil {
			known.count, known.last = known.count+1, now
		}
		if !apierrors.IsNotFound(err) { // they are kept for an hour, or deleted by hand
			return err
		}
	}
	made := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%x", e.Regarding.Name, now.UnixNano())},
		EventTime:  metav1.NewMicroTime(now), ReportingController: r.controller, ReportingInstance: r.instance,
		Type: corev1.EventTypeWarning, Reason: e.Reason, Action: e.Action, Note: e.Note, Regarding: e.Regarding,
	}
	if e.Related != (corev1.ObjectReference{}) {
		made.Related = &e.Related
	}
	if err := r.client.Post().Resource("events").Namespace(namespace).Body(made).Do(ctx).Error(); err != nil {
		return err
	}
	r.remember(e, &series{name: made.Name, count: 1, last: now})
	return nil
}

// remember makes room for an Event among those that are known.
func (r *Recorder) remember(e Event, s *series) {
	if len(r.told) >= maxSeries {
		maps.DeleteFunc(r.told, func(_ Event, old *series) bool { return s.last.Sub(old.last) >= seriesFor })
	}
	if len(r.told) >= maxSeries {
		clear(r.told)
	}
	r.told[e] = s
}

package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/process"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
)

const (
	// maxQueued is how many Events may wait to be written; more are dropped.
	maxQueued = 1000
	// seriesFor is for how long the same Event is counted up instead of written again,
	// and maxSeries of how many that is known.
	seriesFor = 6 * time.Minute
	maxSeries = 4096
	// maxNotes is how many Events that differ in their words only are written meanwhile;
	// further ones count the last of them up.
	maxNotes = 10
	// An Event is tried so often, with twice the wait each time: for half a minute.
	maxTries  = 6
	firstWait = time.Second
	// reporter is the controller that Events name. That of the GatewayClasses may be no
	// name that an Event can have (example.com/a/b). maxInstance is how long that of the
	// process may be.
	reporter    = "rutter.dev/status-writer"
	maxInstance = 128
	// farewell is how long what still waits at the end may take.
	farewell = 2 * time.Second
)

// Event is a warning about an object.
type Event struct {
	Object     events.Key
	UID        string
	Generation int64                  // for the log
	Related    corev1.ObjectReference // may be empty

	Reason, Action, Note string
}

// occurrence is an Event that happened.
type occurrence struct {
	Event
	at time.Time
}

// Recorder writes Events to the Kubernetes API. What client-go has for that takes in
// the types of every kind of Kubernetes, which is 12 MiB in each process.
type Recorder struct {
	client   rest.Interface
	instance string
	logger   *slog.Logger
	dropped  prometheus.Counter
	queue    chan occurrence
	// told are the Events of the last minutes, of any generation. They belong to Run.
	told map[Event]*series
}

// series is an Event that was written, and how often it happened.
type series struct {
	name  string
	count int32
	last  time.Time
}

// RecorderConfig says where Events are written, and by which process.
type RecorderConfig struct {
	API        *rest.Config
	Instance   string
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// NewRecorder checks c.
func NewRecorder(c RecorderConfig) (*Recorder, error) {
	if c.API == nil || c.Instance == "" || c.Logger == nil || c.Registerer == nil {
		return nil, errors.New("a recorder of Events needs an API, an instance, a logger and a registerer")
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
		client: client, instance: c.Instance[:min(len(c.Instance), maxInstance)], logger: c.Logger,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_status_events_dropped_total", Help: "Kubernetes Events that were not written: too many at once, or refused.",
		}),
		queue: make(chan occurrence, maxQueued), told: map[Event]*series{},
	}
	return r, c.Registerer.Register(r.dropped)
}

// Record has an Event written by Run, and never waits.
func (r *Recorder) Record(e Event) {
	select {
	case r.queue <- occurrence{e, time.Now()}:
	default:
		r.dropped.Inc()
	}
}

// Run writes until ctx ends, and then what still waits, for a moment.
func (r *Recorder) Run(ctx context.Context) {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(farewell, cancel) })()
	for {
		select {
		case o := <-r.queue:
			r.tell(working, ctx.Done(), o)
			continue
		case <-ctx.Done():
		}
		select {
		case o := <-r.queue:
			r.tell(working, ctx.Done(), o)
		default:
			return
		}
	}
}

// tell writes an Event, and tries again while the API is not available, until ended.
func (r *Recorder) tell(ctx context.Context, ended <-chan struct{}, o occurrence) {
	wait := firstWait
	for tries := 1; ; tries++ {
		err := r.write(ctx, o)
		// It has the same name at each try: the answer to one before was lost.
		if err == nil || tries > 1 && apierrors.IsAlreadyExists(err) {
			return
		}
		if tries < maxTries && errors.Is(lasting(err), statuswriter.ErrUnavailable) && pause(ended, wait) {
			wait *= 2
			continue
		}
		r.dropped.Inc()
		r.logger.Warn("a Kubernetes Event is not written", process.About(o.Object, o.Generation, tries-1), slog.Any("error", err))
		return
	}
}

// pause waits for so long, and tells whether it has.
func pause(ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ended:
		return false
	}
}

func (r *Recorder) write(ctx context.Context, o occurrence) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e := o.Event
	e.Generation = 0
	namespace := cmp.Or(e.Object.Namespace, metav1.NamespaceDefault)
	if known := r.like(e, o.at); known != nil {
		body, err := json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: known.count + 1, LastObservedTime: metav1.NewMicroTime(o.at)}})
		if err != nil {
			return err
		}
		err = r.client.Patch(types.MergePatchType).Resource("events").Namespace(namespace).Name(known.name).Body(body).Do(ctx).Error()
		if err == nil {
			known.count, known.last = known.count+1, o.at
		}
		if !apierrors.IsNotFound(err) { // they are kept for an hour, or deleted by hand
			return err
		}
	}
	made := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: o.name()},
		EventTime:  metav1.NewMicroTime(o.at), ReportingController: reporter, ReportingInstance: r.instance,
		Type: corev1.EventTypeWarning, Reason: e.Reason, Action: e.Action, Note: e.Note, Regarding: e.regarding(),
	}
	if e.Related != (corev1.ObjectReference{}) {
		made.Related = &e.Related
	}
	if err := r.client.Post().Resource("events").Namespace(namespace).Body(made).Do(ctx).Error(); err != nil {
		return err
	}
	r.remember(e, &series{name: made.Name, count: 1, last: o.at})
	return nil
}

// name is that of the Event of an occurrence, as client-go makes it, for an object with
// a name of any length.
func (o *occurrence) name() string {
	suffix := fmt.Sprintf(".%x", o.at.UnixNano())
	name := o.Object.Name
	return strings.TrimRight(name[:min(len(name), validation.DNS1123SubdomainMaxLength-len(suffix))], "-.") + suffix
}

// like is the series that counts an Event, if any does.
func (r *Recorder) like(e Event, now time.Time) (found *series) {
	n := 0
	for other, s := range r.told {
		if now.Sub(s.last) >= seriesFor {
			continue
		}
		if other == e {
			return s
		}
		if other.Note = e.Note; other == e {
			n++
			if found == nil || s.last.After(found.last) {
				found = s
			}
		}
	}
	if n < maxNotes {
		return nil
	}
	return found
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

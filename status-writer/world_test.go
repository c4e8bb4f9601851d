package statuswriter_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

const gateway = "default/gw"

func gatewayKey() events.Key {
	return events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}
}

func routeKey(name string) events.Key {
	return events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: name}
}

// world is a service with everything around it, in a synctest bubble.
type world struct {
	t         *testing.T
	snapshots events.Stream
	receipts  events.Stream
	bucket    events.Bucket
	state     *routing.State
	statuses  *statuses
	// heartbeats is set by heartbeat: then the service listens to them.
	heartbeats events.Listener
	log        *memlog.Log
	registry   *prometheus.Registry
	service    *statuswriter.Service // that was started last
	// loading, if any, is closed when the newest version can be read.
	loading chan struct{}
}

// slow is a follower whose newest version takes its time.
type slow struct {
	*routing.Follower
	loading <-chan struct{}
}

func (s slow) Load(ctx context.Context) (*routing.State, error) {
	<-s.loading
	return s.Follower.Load(ctx)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	w := &world{t: t, log: log, registry: prometheus.NewRegistry(), state: routing.NewState(), statuses: &statuses{
		objects: map[events.Key]conditions.Object{}, failing: map[events.Key]int{}, writes: map[events.Key]int{}, changed: make(chan []events.Key),
	}}
	for _, c := range events.Streams(1) {
		stream, err := log.Stream(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		switch c.Name {
		case events.StreamSnapshots:
			w.snapshots = stream
		case events.StreamReceipts:
			w.receipts = stream
		}
	}
	var err error
	if w.bucket, err = log.Bucket(t.Context(), routing.CheckpointBucket); err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs the service until the test ends.
func (w *world) start() {
	w.t.Helper()
	follower, err := routing.Follow(w.t.Context(), w.snapshots, w.bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	c := statuswriter.Config{
		Snapshots: follower, Receipts: w.receipts.Reader(0), Applier: w.statuses, ControllerName: "rutter.dev/gateway-controller",
		Silence: 5 * time.Second, Logger: slog.New(slog.DiscardHandler), Registerer: w.registry,
	}
	if w.heartbeats != nil {
		c.Heartbeats = w.heartbeats
	}
	if w.loading != nil {
		c.Snapshots = slow{follower, w.loading}
	}
	service, err := statuswriter.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.service = service
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := service.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
}

// counts expects so many objects to wait after a failure, and so many to have been written.
func (w *world) counts(failing, written float64) {
	w.t.Helper()
	if got := gwtest.Metric(w.t, w.registry, "rutter_status_failing"); got != failing {
		w.t.Errorf("%v objects are failing, want %v", got, failing)
	}
	if got := gwtest.Metric(w.t, w.registry, "rutter_status_writes_total"); got != written {
		w.t.Errorf("%v statuses are written, want %v", got, written)
	}
}

// publish appends the version sequence, in which these verdicts changed.
func (w *world) publish(sequence uint64, verdicts ...routing.Verdict) {
	w.publishGone(sequence, nil, verdicts...)
}

func (w *world) publishGone(sequence uint64, gone []events.Key, verdicts ...routing.Verdict) {
	w.t.Helper()
	s := &routing.Snapshot{Version: version(sequence), Previous: w.state.Version, Verdicts: verdicts, Gone: gone, VerdictDigest: w.state.VerdictDigest}
	for _, v := range verdicts {
		if old, ok := w.state.Verdicts[v.Object]; ok {
			s.VerdictDigest = s.VerdictDigest.Sub(old.Digest())
		}
		s.VerdictDigest = s.VerdictDigest.Add(v.Digest())
	}
	for _, key := range gone {
		s.VerdictDigest = s.VerdictDigest.Sub(w.state.Verdicts[key].Digest())
	}
	messages, err := routing.EncodeSnapshot("local", s, 1<<20)
	if err == nil {
		_, err = w.snapshots.Publish(w.t.Context(), messages...)
	}
	if err = errors.Join(err, w.state.Apply(s)); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// report is what an xDS server says: one Envoy for each held sequence.
func (w *world) report(server string, refused []routing.Refusal, held ...uint64) {
	w.t.Helper()
	w.publishReceipt(receipt(server, refused, held...))
}

func (w *world) publishReceipt(r *routing.Receipt) {
	w.t.Helper()
	m, err := routing.EncodeReceipt("local", r)
	if err == nil {
		_, err = w.receipts.Publish(w.t.Context(), m)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// listen makes the service listen to heartbeats; call it before start.
func (w *world) listen() {
	w.t.Helper()
	var err error
	if w.heartbeats, err = w.log.Listen(w.t.Context(), events.ReceiptHeartbeatSubject("local", "*")); err != nil {
		w.t.Fatal(err)
	}
}

// repeat is what an xDS server repeats: the receipt at sequence.
func (w *world) repeat(sequence uint64, r *routing.Receipt) {
	w.t.Helper()
	m, err := routing.EncodeHeartbeat("local", r, sequence)
	if err == nil {
		err = w.log.Announce(w.t.Context(), m)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func receipt(server string, refused []routing.Refusal, held ...uint64) *routing.Receipt {
	r := &routing.Receipt{Server: server}
	for i, sequence := range held {
		r.Envoys = append(r.Envoys, routing.EnvoyReceipt{Node: fmt.Sprint(server, i), Gateway: gateway, Held: version(sequence), Refused: refused})
	}
	return r
}

// pass lets time go by, and what is then due be done.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// programmed is what the Programmed condition of an object says: status/reason.
func (w *world) programmed(key events.Key) string {
	w.t.Helper()
	c := w.condition(key)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s/%s@%d", c.Status, c.Reason, c.ObservedGeneration)
}

// says looks for a part of what it says to people.
func (w *world) says(key events.Key, part string) {
	w.t.Helper()
	if c := w.condition(key); c == nil || !strings.Contains(c.Message, part) {
		w.t.Errorf("%s does not say %q: %+v", key, part, c)
	}
}

func (w *world) condition(key events.Key) *metav1.Condition {
	w.statuses.mu.Lock()
	defer w.statuses.mu.Unlock()
	o := w.statuses.objects[key]
	var list []metav1.Condition
	switch {
	case o.Gateway != nil:
		list = o.Gateway.Conditions
	case o.ListenerSet != nil:
		list = o.ListenerSet.Conditions
	case o.Route != nil && len(o.Route.Parents) > 0:
		list = o.Route.Parents[0].Conditions
	}
	for i := range list {
		if strings.HasSuffix(list[i].Type, "Programmed") {
			return &list[i]
		}
	}
	return nil
}

// want is asked when nothing is held back any more.
func (w *world) want(key events.Key, want string) {
	w.t.Helper()
	w.pass(1100 * time.Millisecond)
	w.wantNow(key, want)
}

func (w *world) wantNow(key events.Key, want string) {
	w.t.Helper()
	if got := w.programmed(key); got != want {
		w.t.Errorf("%s is programmed %q, want %q", key, got, want)
	}
}

// wantListener is about the one listener of the Gateway.
func (w *world) wantListener(want metav1.ConditionStatus) {
	w.t.Helper()
	w.pass(1100 * time.Millisecond)
	w.statuses.mu.Lock()
	defer w.statuses.mu.Unlock()
	for _, c := range w.statuses.objects[gatewayKey()].Gateway.Listeners[0].Conditions {
		if c.Type == "Programmed" && c.Status != want {
			w.t.Errorf("the listener is programmed %s, want %s", c.Status, want)
		}
	}
}

// touched are the objects that were looked at since the last call.
func (w *world) touched() int {
	w.statuses.mu.Lock()
	defer w.statuses.mu.Unlock()
	n := w.statuses.looked
	w.statuses.looked = 0
	return n
}

func version(sequence uint64) events.Version {
	return events.Version{Incarnation: "i", Sequence: sequence}
}

func gatewayVerdict(generation int64, since uint64) routing.Verdict {
	return routing.Verdict{Object: gatewayKey(), UID: "gw", Generation: generation, Since: since}
}

func routeVerdict(name string, generation int64, since uint64) routing.Verdict {
	return routing.Verdict{Object: routeKey(name), UID: name, Generation: generation, Since: since, Parents: []routing.ParentVerdict{{
		Ref: routing.ParentRef{Name: "gw"}, Gateway: gateway, Conditions: []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted"}},
	}}}
}

// statuses are kept in memory; failing counts how often a write fails yet.
type statuses struct {
	mu      sync.Mutex
	objects map[events.Key]conditions.Object
	failing map[events.Key]int
	writes  map[events.Key]int
	looked  int
	away    bool
	changed chan []events.Key
}

func (s *statuses) Apply(_ context.Context, key events.Key, change func(conditions.Object) conditions.Object) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked++
	if s.away {
		return false, statuswriter.ErrUnavailable
	}
	next := change(s.objects[key])
	if s.failing[key] > 0 {
		s.failing[key]--
		return false, errors.New("conflict")
	}
	if equality.Semantic.DeepEqual(s.objects[key], next) {
		return false, nil
	}
	s.objects[key] = next
	s.writes[key]++
	return true, nil
}

func (s *statuses) Remove(_ context.Context, key events.Key) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return true, nil
}

func (s *statuses) Applied(context.Context) ([]events.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.objects), events.Key.Compare), nil
}

func (s *statuses) Changed(ctx context.Context) ([]events.Key, error) {
	select {
	case keys := <-s.changed:
		return keys, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *statuses) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// clobber is what a writer does that cares for nobody.
func (s *statuses) clobber(key events.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	o.Route = &gatewayv1.RouteStatus{}
	s.objects[key] = o
}

// written is how often the status of an object was written.
func (s *statuses) written(key events.Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes[key]
}

package projector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
)

// rig is a log with a hand on EVENTS, and the projector that reads it.
type rig struct {
	t         *testing.T
	events    events.Stream
	snapshots events.Stream
	folds     events.Bucket
	versions  events.Bucket
	writer    events.Writer
	service   *projector.Service   // that was started last
	registry  *prometheus.Registry // its
	last      uint64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	r := &rig{t: t}
	streams := map[string]events.Stream{}
	for _, c := range events.Streams(1) {
		s, err := log.Stream(t.Context(), c)
		must(t, err)
		streams[c.Name] = s
	}
	r.events, r.snapshots = streams[events.StreamEvents], streams[events.StreamSnapshots]
	var err error
	r.folds, err = log.Bucket(t.Context(), projector.FoldBucket)
	must(t, err)
	r.versions, err = log.Bucket(t.Context(), routing.CheckpointBucket)
	must(t, err)
	r.acquire()
	return r
}

// acquire opens an epoch of EVENTS.
func (r *rig) acquire() {
	r.t.Helper()
	var err error
	r.writer, err = r.events.Acquire(r.t.Context(), events.LeaseConfig{Cluster: "local", Holder: "test", Sole: true, Open: func(epoch uint64) events.Message {
		data, _ := json.Marshal(events.EpochOpened{Epoch: epoch, Holder: "test", Settings: &events.Settings{
			ControllerName: "rutter.dev/gateway-controller", ListenAddress: "127.0.0.1", RouteLayout: "plain",
			Resources: []string{events.Gateways, events.HTTPRoutes},
		}})
		return events.Encode(events.Event{ID: fmt.Sprint("epoch/", epoch), Type: events.TypeEpoch, Cluster: "local", Key: events.EpochKey(events.StreamEvents), Time: time.Unix(1, 0), Epoch: epoch, Data: data})
	}})
	must(r.t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) append(kind events.Type, key events.Key, data string) {
	r.t.Helper()
	r.last++
	last, err := r.writer.Append(r.t.Context(), events.Encode(events.Event{
		ID: fmt.Sprint("event/", r.last), Type: kind, Cluster: "local", Key: key, Time: time.Unix(int64(r.last), 0), Epoch: r.writer.Epoch(), Data: []byte(data),
	}))
	must(r.t, err)
	r.last = last
}

func (r *rig) apply(resource, namespace, name, spec string) {
	r.t.Helper()
	r.append(events.ObjectApplied, events.Key{Resource: resource, Namespace: namespace, Name: name},
		fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"uid":%q,"generation":%d,"creationTimestamp":"2026-01-01T00:00:00Z"},"spec":%s}`, name, namespace, name, r.last+1, spec))
}

func (r *rig) sync(kind events.Type) {
	r.t.Helper()
	for _, resource := range []string{events.Gateways, events.HTTPRoutes} {
		r.append(kind, events.SyncKey(resource), fmt.Sprintf(`{"resource":%q}`, resource))
	}
}

func (r *rig) route(name, service string) {
	r.t.Helper()
	r.apply(events.HTTPRoutes, "default", name, fmt.Sprintf(`{"parentRefs":[{"name":"gw"}],"hostnames":["%s.example.com"],"rules":[{"backendRefs":[{"name":%q,"port":80}]}]}`, name, service))
}

// list records the world as a whole.
func (r *rig) list() {
	r.t.Helper()
	r.sync(events.TypeSyncStart)
	r.world()
	r.sync(events.TypeSyncDone)
}

func (r *rig) world() {
	r.apply(events.GatewayClasses, "", "rutter", `{"controllerName":"rutter.dev/gateway-controller"}`)
	r.apply(events.Gateways, "default", "gw", `{"gatewayClassName":"rutter","listeners":[{"name":"http","port":8080,"protocol":"HTTP"}]}`)
	r.apply(events.Services, "default", "web", `{"ports":[{"port":80}]}`)
	r.apply(events.Services, "default", "api", `{"ports":[{"port":80}]}`)
}

// project runs a projector until stop is called.
func (r *rig) project(every uint64) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	r.registry = prometheus.NewRegistry()
	service, err := projector.New(projector.Config{
		Cluster: "local", Holder: "test", Sole: true, Events: r.events, Snapshots: r.snapshots, Folds: r.folds, Versions: r.versions,
		CheckpointEvery: every, Stalled: func(error) {}, Now: func() time.Time { return time.Unix(1, 0) },
		Logger: slog.New(slog.DiscardHandler), Registerer: r.registry,
	})
	must(r.t, err)
	r.service = service
	go func() { done <- service.Run(ctx) }()
	return func() {
		r.t.Helper()
		cancel()
		must(r.t, <-done)
	}
}

// reach waits until the version at sequence is published.
func (r *rig) reach(sequence uint64) *routing.State {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	follower, err := routing.FollowFirst(ctx, r.snapshots, r.versions)
	must(r.t, err)
	defer follower.Close()
	state := routing.NewState()
	for state.Version.Sequence < sequence {
		snapshots, err := follower.Next(ctx)
		if err != nil {
			r.t.Fatalf("version %d is not published (%d is): %v", sequence, state.Version.Sequence, err)
		}
		for _, s := range snapshots {
			must(r.t, state.Apply(s))
		}
	}
	return state
}

// newest is the version that is published now.
func (r *rig) newest() *routing.State {
	r.t.Helper()
	follower, err := routing.Follow(r.t.Context(), r.snapshots, r.versions)
	must(r.t, err)
	defer follower.Close()
	state, err := follower.Load(r.t.Context())
	must(r.t, err)
	return state
}

func (r *rig) lastVersion() *routing.Snapshot {
	r.t.Helper()
	m, err := r.snapshots.Get(r.t.Context(), r.published())
	must(r.t, err)
	var parts routing.Assembler
	snap, err := parts.Add(m)
	must(r.t, err)
	return snap
}

func (r *rig) published() uint64 {
	r.t.Helper()
	info, err := r.snapshots.Info(r.t.Context())
	must(r.t, err)
	return info.Last
}

func TestNothingIsPublishedBeforeEveryResourceIsSynced(t *testing.T) {
	r := newRig(t)
	r.sync(events.TypeSyncStart)
	r.world()
	r.route("r", "web")
	stop := r.project(0)
	r.append(events.TypeSyncDone, events.SyncKey(events.Gateways), `{"resource":"gateways"}`)
	r.append(events.TypeSyncDone, events.SyncKey(events.HTTPRoutes), `{"resource":"httproutes"}`)
	first := r.last
	state := r.reach(first)
	stop()
	if state.Version.Sequence != first || len(state.Gateways) != 1 {
		t.Fatalf("the first version is %s with %d Gateways, want %d with 1", state.Version, len(state.Gateways), first)
	}
	if _, err := r.snapshots.Get(t.Context(), 3); err == nil {
		t.Fatal("a version was published before the sync was complete")
	}
}

func TestRestartPublishesNothingThatIsAlreadySo(t *testing.T) {
	for _, every := range []uint64{1_000_000, 3} {
		t.Run(fmt.Sprintf("checkpoint every %d", every), func(t *testing.T) {
			r := newRig(t)
			r.list()
			stop := r.project(every)
			r.reach(r.last)
			for i := range 10 {
				r.route(fmt.Sprintf("r%d", i), "web")
				r.reach(r.last)
			}
			before := r.reach(r.last)
			stop()
			published := r.published()

			stop = r.project(every)
			r.route("one-more", "api")
			after := r.reach(r.last)
			stop()
			// One guard message and one version, and nothing else.
			if got := r.published(); got != published+2 {
				t.Errorf("the restart and one route appended %d messages to SNAPSHOTS, want 2", got-published)
			}
			if last := r.lastVersion(); len(last.Causes) != 1 || last.Causes[0] != r.last {
				t.Errorf("the version says that the events %v caused it, want %d alone", last.Causes, r.last)
			}
			if len(after.Gateways["default/gw"].Resources) <= len(before.Gateways["default/gw"].Resources) {
				t.Error("the new route brought no new resource")
			}
		})
	}
}

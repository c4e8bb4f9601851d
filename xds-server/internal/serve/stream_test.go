package serve

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/simenvoy"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

func TestNothingIsServedBeforeEndpointsAreSynced(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	e := connect(t, "a", r)
	r.ledger.await(t, "a", func(r routing.EnvoyReceipt) bool { return r.Node == "a" })
	r.take(t, h.Publish(sample.World{gateway: web(2)}))
	// The only sign of silence is that what comes is complete from the first
	// response on, although the version was there long before.
	r.store.ReplaceEndpoints(assignments(t, "s0", "s1"))
	await(t, e, runs(web(2)))
	first := e.View().Log[0]
	if first.Type != store.ClusterType || !slices.Equal(first.Sent, []string{"c0", "c1"}) {
		t.Errorf("the first response was %+v", first)
	}
}

func TestAGatewayThatIsNotKnownIsAnsweredNothing(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{"ns/other": web(1)}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	r.ledger.await(t, "a", func(r routing.EnvoyReceipt) bool { return r.Node == "a" })
	r.take(t, h.Publish(sample.World{"ns/other": web(1), gateway: web(1)}))
	await(t, e, runs(web(1)))
	if first := e.View().Log[0]; !slices.Equal(first.Sent, []string{"c0"}) {
		t.Errorf("the first response was %+v", first)
	}
}

func TestNoRouteBeforeItsCluster(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(1)}))
	r.store.ReplaceEndpoints(assignments(t, "s0"))
	e := connect(t, "a", r)
	await(t, e, runs(web(1)))
	for n := 2; n < 30; n++ {
		r.take(t, h.Publish(sample.World{gateway: web(n)}))
	}
	await(t, e, runs(web(29)))
	for n := 28; n > 0; n-- {
		r.take(t, h.Publish(sample.World{gateway: web(n)}))
	}
	await(t, e, runs(web(1)))
	if v := e.View().Violations; len(v) > 0 {
		t.Errorf("%d requests met nothing: %v", len(v), v)
	}
	r.ledger.await(t, "a", func(got routing.EnvoyReceipt) bool { return got.Held == r.store.Version() })
}

func TestAChangedClusterIsSentWithItsEndpoints(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(2)}))
	r.store.ReplaceEndpoints(assignments(t, "s0", "s1"))
	e := connect(t, "a", r)
	await(t, e, runs(web(2)))
	before := len(e.View().Log)
	changed := append(web(1), host(1, 2)...)
	r.take(t, h.Publish(sample.World{gateway: changed}))
	await(t, e, runs(changed))
	var order []string
	for _, response := range e.View().Log[before:] {
		order = append(order, short(response.Type))
		order = append(order, response.Sent...)
	}
	want := []string{"Cluster", "c1", "ClusterLoadAssignment", "ns/s1/-", "ScopedRouteConfiguration", "l0/h1"}
	if !slices.Equal(order, want) {
		t.Errorf("sent %v, want %v", order, want)
	}
}

func TestAClusterIsSentWithItsEndpointsAndThenItsSecrets(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(2)}))
	r.store.ReplaceEndpoints(assignments(t, "s0", "s1", "s2"))
	e := connect(t, "a", r)
	await(t, e, runs(web(2)))
	for _, c := range []struct {
		why   string
		world []routing.Resource
		want  []string
	}{
		{"the first that is reached over TLS", secured(2, "one"),
			[]string{"Cluster", "c2", "ClusterLoadAssignment", "ns/s2/-", "Secret", "ca2", "ScopedRouteConfiguration", "l0/h2"}},
		{"other authorities", secured(2, "two"), []string{"Secret", "ca2"}},
		{"a cluster that changes", []routing.Resource{
			sample.Secured("c2", "ns/s2/-", time.Second, "ca2"), sample.Authorities("ca2", []byte("two")), sample.Scope("h2", "/3", "c2"),
		}, []string{"Cluster", "c2", "ClusterLoadAssignment", "ns/s2/-"}},
	} {
		before := len(e.View().Log)
		r.take(t, h.Publish(sample.World{gateway: append(web(2), c.world...)}))
		await(t, e, runs(append(web(2), c.world...)))
		r.ledger.await(t, "a", func(got routing.EnvoyReceipt) bool { return got.Held == r.store.Version() })
		var order []string
		for _, response := range e.View().Log[before:] {
			// What was sent unasked is asked for by Envoy, and sent again.
			if len(response.Repeated) == 0 || !slices.Contains(order, response.Repeated[0]) {
				order = append(append(order, short(response.Type)), response.Sent...)
			}
		}
		if !slices.Equal(order, c.want) {
			t.Errorf("%s: sent %v, want %v", c.why, order, c.want)
		}
	}
	if v := e.View().Violations; len(v) > 0 {
		t.Errorf("%d requests met nothing: %v", len(v), v)
	}
}

func TestReconnectToAnotherReplicaIsSentNothing(t *testing.T) {
	h := sample.NewHistory("i")
	versions := []*routing.Snapshot{h.Publish(sample.World{gateway: web(3)}), h.Publish(sample.World{gateway: web(5)})}
	one, other := newReplica(t), newReplica(t)
	for _, r := range []*replica{one, other} {
		r.take(t, versions...)
		r.store.ReplaceEndpoints(assignments(t, "s0", "s1", "s2", "s3", "s4"))
	}
	e := connect(t, "a", one)
	await(t, e, runs(web(5)))
	one.ledger.await(t, "a", func(r routing.EnvoyReceipt) bool { return r.Held.Sequence == 2 })
	e.Disconnect()
	before := len(e.View().Log)
	if err := e.Connect(t.Context(), other.conn); err != nil {
		t.Fatal(err)
	}
	other.ledger.await(t, "a", func(r routing.EnvoyReceipt) bool { return r.Held.Sequence == 2 })
	await(t, e, func(v simenvoy.View) bool { return len(v.Log) >= before+4 })
	for _, response := range e.View().Log[before:] {
		if len(response.Sent)+len(response.Removed) > 0 {
			t.Errorf("sent again: %+v", response)
		}
	}
}

func TestAReconnectIsSentTheDifferenceOnly(t *testing.T) {
	h := sample.NewHistory("i")
	old := h.Publish(sample.World{gateway: web(3)})
	one, other := newReplica(t), newReplica(t)
	one.take(t, old)
	one.store.ReplaceEndpoints(assignments(t, "s0", "s1", "s2"))
	e := connect(t, "a", one)
	await(t, e, runs(web(3)))
	e.Disconnect()
	changed := append(web(1), host(1, 2)...)
	other.take(t, old, h.Publish(sample.World{gateway: changed}))
	other.store.ReplaceEndpoints(assignments(t, "s0", "s1", "s2"))
	before := len(e.View().Log)
	if err := e.Connect(t.Context(), other.conn); err != nil {
		t.Fatal(err)
	}
	await(t, e, runs(changed))
	var sent, removed []string
	for _, response := range e.View().Log[before:] {
		sent, removed = append(sent, response.Sent...), append(removed, response.Removed...)
	}
	if slices.Sort(sent); !slices.Equal(slices.Compact(sent), []string{"c1", "l0/h1", "ns/s1/-"}) {
		t.Errorf("sent %v", sent)
	}
	if slices.Sort(removed); !slices.Equal(removed, []string{"c2", "l0/h2"}) {
		t.Errorf("removed %v", removed)
	}
}

func TestEmptyTypesAreAnswered(t *testing.T) {
	r := newReplica(t)
	r.take(t, sample.NewHistory("i").Publish(sample.World{gateway: nil}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	await(t, e, func(v simenvoy.View) bool { return len(v.Log) == 2 })
	for i, typ := range []string{store.ClusterType, store.ListenerType} {
		if got := e.View().Log[i]; got.Type != typ || len(got.Sent) > 0 {
			t.Errorf("response %d is %+v", i, got)
		}
	}
	r.ledger.await(t, "a", func(r routing.EnvoyReceipt) bool { return r.Held.Sequence == 1 })
}

func TestAnUnknownNameIsAnsweredRemoved(t *testing.T) {
	r := newReplica(t)
	world := []routing.Resource{sample.Listener("https", 8443, "nowhere", "no-secret")}
	r.take(t, sample.NewHistory("i").Publish(sample.World{gateway: world}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	await(t, e, func(v simenvoy.View) bool { return len(v.Log) == 4 })
	for typ, name := range map[string]string{store.SecretType: "no-secret", store.RouteType: "nowhere"} {
		if !slices.ContainsFunc(e.View().Log, func(r simenvoy.Response) bool {
			return r.Type == typ && slices.Equal(r.Removed, []string{name})
		}) {
			t.Errorf("%s %s was not answered: %v", typ, name, e.View())
		}
	}
}

func TestAServiceWithoutSlicesHasAnEmptyAssignment(t *testing.T) {
	r := newReplica(t)
	r.take(t, sample.NewHistory("i").Publish(sample.World{gateway: web(1)}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	await(t, e, runs(web(1)))
	r.store.SetEndpoints(assignments(t, "s0"))
	version := func(name string) string { return e.View().Have[store.EndpointType][name].Version }
	await(t, e, func(v simenvoy.View) bool { return len(v.Have[store.EndpointType]["ns/s0/-"].Body) > 20 })
	if version("ns/s0/-") == "" {
		t.Error("the assignment has no version")
	}
}

func TestADeletedGatewayIsEmptied(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(3), "ns/other": web(1)}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	await(t, e, runs(web(3)))
	r.take(t, h.Publish(sample.World{"ns/other": web(1)}))
	await(t, e, runs(nil))
	r.take(t, h.Publish(sample.World{"ns/other": web(1), gateway: web(2)}))
	await(t, e, runs(web(2)))
}

func TestTooManyStreamsAreRefusedWithAReason(t *testing.T) {
	r := newReplica(t, func(c *Config) { c.MaxStreams = 1 })
	r.take(t, sample.NewHistory("i").Publish(sample.World{gateway: web(1)}))
	r.store.ReplaceEndpoints(nil)
	first := connect(t, "a", r)
	await(t, first, runs(web(1)))
	second := connect(t, "b", r)
	await(t, second, func(v simenvoy.View) bool { return status.Code(v.Err) == codes.ResourceExhausted })
	first.Disconnect()
	deadline := time.Now().Add(10 * time.Second)
	for status.Code(second.View().Err) == codes.ResourceExhausted && time.Now().Before(deadline) {
		second.Disconnect()
		if err := second.Connect(t.Context(), r.conn); err != nil {
			t.Fatal(err)
		}
		await(t, second, func(v simenvoy.View) bool { return v.Err != nil || runs(web(1))(v) })
	}
	await(t, second, runs(web(1)))
}

func TestAStreamWithoutANodeIsRefused(t *testing.T) {
	r := newReplica(t)
	e := simenvoy.New("", gateway)
	if err := e.Connect(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Disconnect)
	await(t, e, func(v simenvoy.View) bool { return status.Code(v.Err) == codes.InvalidArgument })
}

package xdsserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/simenvoy"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// simulated connects a simulated Envoy to a server.
func simulated(t *testing.T, r *running) *simenvoy.Envoy {
	t.Helper()
	conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	e := simenvoy.New("envoy-0", testGateway)
	if err := e.Connect(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Disconnect()
		_ = conn.Close()
	})
	return e
}

func awaitView(t *testing.T, e *simenvoy.Envoy, what string, condition func(simenvoy.View) bool) {
	t.Helper()
	gwtest.Eventually(t, what, func() error {
		if v := e.View(); !condition(v) {
			return &viewError{v}
		}
		return nil
	})
}

type viewError struct{ view simenvoy.View }

func (e *viewError) Error() string { return "it has " + e.view.String() }

// endpointsOf is the bytes of the assignment of a Service.
func endpointsOf(v simenvoy.View, service string) string {
	return string(v.Have[store.EndpointType]["ns/"+service+"/-"].Body)
}

func assignmentOf(t *testing.T, service string, port int32, addresses ...string) string {
	t.Helper()
	s := newSystem(t)
	s.slices(sample.SliceEvent(service, port, addresses...))
	s.publish(site("h", service)...)
	e := simulated(t, s.serve("127.0.0.1:0", s.open))
	awaitView(t, e, "endpoints", func(v simenvoy.View) bool { return len(endpointsOf(v, service)) > 0 })
	return endpointsOf(e.View(), service)
}

func TestNothingIsServedBeforeAListOfEndpointsIsComplete(t *testing.T) {
	s := newSystem(t)
	s.publish(site("one", "a")...)
	s.append(events.StreamEndpoints, events.Encode(sample.SliceEvent("a", 80, "10.0.0.1")))
	s.bracket(events.TypeSyncDone) // of a list whose beginning retention has removed
	server := s.serve("127.0.0.1:0", s.open)
	e := simulated(t, server)
	s.awaitReceipt("the Envoy is connected", func(r *routing.Receipt) bool { return len(r.Envoys) == 1 })
	gwtest.Eventually(t, "the version is read", func() error {
		if server.Version().IsZero() {
			return os.ErrNotExist
		}
		return nil
	})
	if server.Ready() == nil || len(e.View().Log) > 0 {
		t.Errorf("ready %v, sent %v", server.Ready(), e.View())
	}
	s.slices()
	awaitView(t, e, "the cluster", func(v simenvoy.View) bool { return len(v.Have[store.ClusterType]) == 1 })
}

func TestALogThatWasRebuiltReplacesEndpointsWhenItsListIsComplete(t *testing.T) {
	s := newSystem(t)
	s.slices(sample.SliceEvent("a", 80, "10.0.0.1"), sample.SliceEvent("b", 80, "10.0.0.2"))
	s.publish(append(site("one", "a"), site("two", "b")...)...)
	server := s.serve("127.0.0.1:0", s.open)
	e := simulated(t, server)
	awaitView(t, e, "endpoints of a", func(v simenvoy.View) bool { return len(endpointsOf(v, "a")) > 0 })
	old := endpointsOf(e.View(), "b")
	gwtest.Eventually(t, "a local copy", func() error { _, err := os.Stat(filepath.Join(s.dir, "copy.rutter")); return err })
	server.stop()

	s.newLog()
	s.append(events.StreamEndpoints, events.Encode(sample.SliceEvent("a", 80, "10.9.9.9")))
	server = s.serve("127.0.0.1:0", s.open)
	e = simulated(t, server)
	awaitView(t, e, "endpoints as they were", func(v simenvoy.View) bool { return endpointsOf(v, "b") == old })
	s.slices()
	want := assignmentOf(t, "a", 80, "10.9.9.9")
	awaitView(t, e, "endpoints of the new log", func(v simenvoy.View) bool {
		return endpointsOf(v, "a") == want && endpointsOf(v, "b") != old
	})
}

func TestADamagedLocalCopyIsIgnored(t *testing.T) {
	s := newSystem(t)
	if err := os.WriteFile(filepath.Join(s.dir, "copy.rutter"), []byte("rutter-copy 1 - 00\n{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.slices()
	s.publish(site("one", "a")...)
	// Until the log can be opened there is nothing but the copy.
	reachable := make(chan struct{})
	server := s.serve("127.0.0.1:0", func(ctx context.Context) (Log, error) {
		select {
		case <-reachable:
			return s.open(ctx)
		case <-ctx.Done():
			return Log{}, ctx.Err()
		}
	})
	if server.Ready() == nil {
		t.Error("ready with a damaged copy")
	}
	close(reachable)
	e := simulated(t, server)
	awaitView(t, e, "the cluster", func(v simenvoy.View) bool { return len(v.Have[store.ClusterType]) == 1 })
}

func TestASliceThatCannotBeReadDoesNotStopTheOthers(t *testing.T) {
	s := newSystem(t)
	bad := sample.SliceEvent("bad", 80, "10.0.0.1")
	bad.Data = []byte(`{"endpoints": "none"}`)
	s.slices(bad, sample.SliceEvent("a", 80, "10.0.0.1"))
	s.publish(site("one", "a")...)
	e := simulated(t, s.serve("127.0.0.1:0", s.open))
	awaitView(t, e, "endpoints", func(v simenvoy.View) bool { return len(endpointsOf(v, "a")) > 0 })
}

func TestServingGoesOnAfterABadVersion(t *testing.T) {
	s := newSystem(t)
	s.slices()
	s.publish(site("one", "a")...)
	server := s.serve("127.0.0.1:0", s.open)
	e := simulated(t, server)
	awaitView(t, e, "the cluster", func(v simenvoy.View) bool { return len(v.Have[store.ClusterType]) == 1 })
	bad := s.history.Publish(sample.World{testGateway: slices.Concat(site("one", "a"), site("two", "b"))})
	bad.Gateways[0].Digest = routing.Digest{}
	messages, err := routing.EncodeSnapshot(testCluster, bad, 900<<10)
	if err != nil {
		t.Fatal(err)
	}
	s.append(events.StreamSnapshots, messages...)
	s.slices(sample.SliceEvent("a", 80, "10.0.0.7"))
	before := endpointsOf(e.View(), "a")
	awaitView(t, e, "changed endpoints", func(v simenvoy.View) bool { return endpointsOf(v, "a") != before })
	if server.Version().Sequence != 1 {
		t.Errorf("it serves version %s", server.Version())
	}
}

func TestAConfigThatCannotWorkIsRefused(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no error")
	}
	s := newSystem(t)
	started := time.Now()
	server := s.serve("127.0.0.1:0", unreachable)
	server.stop()
	if d := time.Since(started); d > 5*time.Second {
		t.Errorf("a server without a log took %s to stop", d)
	}
}

func TestAServerThatComesBackTakesNothingBackWhileTheLogIsNear(t *testing.T) {
	s := newSystem(t)
	s.slices()
	s.publish(site("one", "a")...)
	server := s.serve("127.0.0.1:0", s.open)
	gwtest.Eventually(t, "a local copy", func() error { _, err := os.Stat(filepath.Join(s.dir, "copy.rutter")); return err })
	server.stop()
	// While it is down, another one serves what is newer.
	var last events.Version
	for i := range 30 {
		last = s.publish(slices.Concat(site("one", "a"), site(fmt.Sprint("host-", i), "b"))...)
	}
	registry := prometheus.NewRegistry()
	server = s.serveWith("127.0.0.1:0", s.open, func(c *Config) { c.CopyPatience, c.Registerer = time.Minute, registry })
	e := simulated(t, server)
	awaitView(t, e, "two clusters", func(v simenvoy.View) bool { return len(v.Have[store.ClusterType]) == 2 })
	if v := server.Version(); v != last {
		t.Errorf("it serves %v, not %v", v, last)
	}
	first := slices.IndexFunc(e.View().Log, func(r simenvoy.Response) bool { return r.Type == store.ClusterType })
	if r := e.View().Log[first]; len(r.Sent) != 2 {
		t.Errorf("the first answer is not the newest version: %+v", r)
	}

	// Of what comes while it is connected, it is told how long that took.
	const took = "rutter_xds_event_to_ack_seconds"
	before, versions := gwtest.Metric(t, registry, took), gwtest.Metric(t, registry, "rutter_xds_versions_total")
	next := s.history.Publish(sample.World{testGateway: site("one", "a")})
	next.Time = time.Now()
	messages, err := routing.EncodeSnapshot(testCluster, next, 900<<10)
	if err != nil {
		t.Fatal(err)
	}
	s.append(events.StreamSnapshots, messages...)
	s.awaitReceipt("the next version is held", holds(next.Version))
	if n := gwtest.Metric(t, registry, took); n != before+1 {
		t.Errorf("of %v versions it is told until when they were acknowledged, want one more than %v", n, before)
	}
	if n := gwtest.Metric(t, registry, "rutter_xds_versions_total"); n != versions+1 || gwtest.Metric(t, registry, "rutter_xds_version_bytes") != n {
		t.Errorf("%v versions were taken over, want one more than %v", n, versions)
	}
}

func TestTheLastReceiptIsRepeated(t *testing.T) {
	s := newSystem(t)
	heard, err := s.log.Listen(t.Context(), events.ReceiptHeartbeatSubject(testCluster, "*"))
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	s.slices()
	version := s.publish(site("one", "a")...)
	server := s.serve("127.0.0.1:0", s.open)
	simulated(t, server)
	s.awaitReceipt("the Envoy is connected", func(r *routing.Receipt) bool { return len(r.Envoys) == 1 })
	for range 2 {
		var r *routing.Receipt
		for r == nil || len(r.Envoys) == 0 {
			batch, err := heard.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var sequence uint64
			if r, sequence, err = routing.DecodeHeartbeat(batch[len(batch)-1]); err != nil {
				t.Fatal(err)
			}
			if m, err := s.streams[events.StreamReceipts].Get(t.Context(), sequence); err != nil {
				t.Fatal(err)
			} else if recorded, err := routing.DecodeReceipt(m); err != nil || recorded.Time != r.Time {
				t.Errorf("%+v is not what is recorded: %+v, %v", r, recorded, err)
			}
		}
		if r.Server != "xds-0" || r.Envoys[0].Gateway != testGateway {
			t.Errorf("got %+v of version %v", r, version)
		}
	}
}

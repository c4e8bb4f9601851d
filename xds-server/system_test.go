package xdsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
)

const (
	testGateway = "ns/gw"
	testCluster = "c"
)

// system is a log with a history, and the servers that read it.
type system struct {
	t        *testing.T
	log      *memlog.Log
	streams  map[string]events.Stream
	history  *sample.History
	identity *age.X25519Identity
	dir      string // of the local copy
	synced   int
}

func newSystem(t *testing.T) *system {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, history: sample.NewHistory("i"), identity: identity, dir: t.TempDir()}
	s.newLog()
	return s
}

// newLog gives the system another, empty log.
func (s *system) newLog() {
	s.t.Helper()
	s.log, s.streams = memlog.New(memlog.Config{}), map[string]events.Stream{}
	for _, c := range events.Streams(1) {
		stream, err := s.log.Stream(s.t.Context(), c)
		if err != nil {
			s.t.Fatal(err)
		}
		s.streams[c.Name] = stream
	}
	s.t.Cleanup(s.log.Close)
}

// publish makes a world the newest version.
func (s *system) publish(world ...routing.Resource) events.Version {
	s.t.Helper()
	version := s.history.Publish(sample.World{testGateway: world})
	messages, err := routing.EncodeSnapshot(testCluster, version, 900<<10)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(events.StreamSnapshots, messages...)
	return version.Version
}

// slices records a list of slices, between its brackets.
func (s *system) slices(all ...events.Event) {
	s.t.Helper()
	s.bracket(events.TypeSyncStart)
	for _, e := range all {
		s.append(events.StreamEndpoints, events.Encode(e))
	}
	s.bracket(events.TypeSyncDone)
}

func (s *system) bracket(kind events.Type) {
	s.t.Helper()
	s.synced++
	s.append(events.StreamEndpoints, events.Encode(events.Event{
		ID: fmt.Sprintf("sync/%d", s.synced), Type: kind, Cluster: testCluster, Key: events.SyncKey(events.EndpointSlices),
		Time: time.Unix(1, 0), Data: []byte(`{"resource":"endpointslices"}`),
	}))
}

func (s *system) append(stream string, messages ...events.Message) {
	s.t.Helper()
	if _, err := s.streams[stream].Publish(s.t.Context(), messages...); err != nil {
		s.t.Fatal(err)
	}
}

// open is Config.Open over the present log.
func (s *system) open(context.Context) (Log, error) {
	streams, log := s.streams, s.log
	return Log{
		Snapshots: func(ctx context.Context) (Snapshots, error) {
			bucket, err := log.Bucket(ctx, routing.CheckpointBucket)
			if err != nil {
				return nil, err
			}
			return routing.Follow(ctx, streams[events.StreamSnapshots], bucket)
		},
		Endpoints:  streams[events.StreamEndpoints],
		Receipts:   streams[events.StreamReceipts],
		Heartbeats: log,
		Measured: map[string]process.Measured{
			events.StreamSnapshots: streams[events.StreamSnapshots], events.StreamEndpoints: streams[events.StreamEndpoints],
		},
	}, nil
}

// unreachable is Config.Open while the log is gone.
func unreachable(context.Context) (Log, error) { return Log{}, errors.New("no servers available") }

// running is one server of a system.
type running struct {
	*Server
	address string
	stop    func()
}

// serve starts a server at an address, "127.0.0.1:0" for any.
func (s *system) serve(address string, open func(context.Context) (Log, error)) *running {
	s.t.Helper()
	return s.serveWith(address, open, func(*Config) {})
}

func (s *system) serveWith(address string, open func(context.Context) (Log, error), change func(*Config)) *running {
	s.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	c := Config{
		Listener: listener, Name: "xds-0", Cluster: testCluster, Open: open, Identity: s.identity,
		LocalCopy: s.dir, CopyEvery: 10 * time.Millisecond, CopyPatience: 300 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(s.t.Output(), nil)), Registerer: prometheus.NewRegistry(),
	}
	change(&c)
	server, err := New(c)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	stopped := false
	r := &running{Server: server, address: listener.Addr().String()}
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("server: %v", err)
		}
	}
	s.t.Cleanup(r.stop)
	return r
}

// awaitReceipt waits until the newest receipt fulfils the condition.
func (s *system) awaitReceipt(what string, condition func(*routing.Receipt) bool) *routing.Receipt {
	s.t.Helper()
	var receipt *routing.Receipt
	gwtest.Eventually(s.t, what, func() error {
		m, err := s.streams[events.StreamReceipts].Last(s.t.Context(), events.ReceiptSubject(testCluster, "xds-0"))
		if err != nil {
			return err
		}
		if receipt, err = routing.DecodeReceipt(m); err != nil {
			return err
		}
		if !condition(receipt) {
			return fmt.Errorf("the last receipt is %s", m.Data)
		}
		return nil
	})
	return receipt
}

// holds is the condition that the one Envoy holds a version.
func holds(version events.Version) func(*routing.Receipt) bool {
	return func(r *routing.Receipt) bool { return len(r.Envoys) == 1 && r.Envoys[0].Held == version }
}

// backend is an HTTP server that says its name, and its slice under a Service.
func backend(t *testing.T, service string) events.Event {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, service) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return sample.SliceEvent(service, int32(number), "127.0.0.1")
}

// site is a host with a cluster of its own for a Service.
func site(host, service string) []routing.Resource {
	return []routing.Resource{
		sample.Cluster("c-"+service, "ns/"+service+"/-", time.Second),
		sample.Scope(host, "/", "c-"+service),
	}
}

// answer is what a host says at an address; it asks on a connection of its own.
func answer(t *testing.T, scheme, address, host string, trust *tls.Config) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	transport := &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}

func awaitAnswer(t *testing.T, address, host, want string) {
	t.Helper()
	gwtest.Eventually(t, "host "+host, func() error {
		got, err := answer(t, "http", address, host, nil)
		if err == nil && got != want {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return err
	})
}

package natslog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/logtest"
)

func TestReplicatedLogKeepsTheContract(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers take half a minute")
	}
	servers := cluster(t)
	logtest.Run(t, func(t *testing.T) events.Log {
		l := join(t, servers)
		for name := range l.js.StreamNames(t.Context()).Name() {
			if err := l.js.DeleteStream(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		return replicated{l}
	})
}

// What a writer records and a reader sees is the same, in one sequence, while the
// server that leads the stream dies.
func TestLogOutlivesItsLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers take half a minute")
	}
	servers := cluster(t)
	l := join(t, servers)
	s, err := replicated{l}.Stream(t.Context(), endless())
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Acquire(t.Context(), lease("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(context.WithoutCancel(t.Context()))

	const total, kill = 3000, 1000
	read := make(chan error, 1)
	go func() { read <- readExactly(t.Context(), s, total) }()
	for n := 0; n < total; {
		if n == kill {
			info, err := l.js.Stream(t.Context(), events.StreamEvents)
			if err != nil {
				t.Fatal(err)
			}
			leader := info.CachedInfo().Cluster.Leader
			i := slices.IndexFunc(servers, func(s *server.Server) bool { return s.Name() == leader })
			servers[i].Shutdown()
		}
		size := 1 + n%50
		size = min(size, total-n)
		if n < kill {
			size = min(size, kill-n)
		}
		batch := make([]events.Message, size)
		for i := range batch {
			batch[i] = message(n+i, 100)
		}
		last, err := w.Append(t.Context(), batch...)
		if err != nil {
			t.Fatal(err)
		}
		if n += size; last != uint64(n+1) {
			t.Fatalf("writer at %d, want %d", last, n+1)
		}
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
}

func readExactly(ctx context.Context, s events.Stream, total int) error {
	r := s.Reader(2)
	defer r.Close()
	for next := 0; next < total; {
		batch, err := r.Next(ctx)
		if err != nil {
			return err
		}
		for _, m := range batch {
			if m.ID != message(next, 0).ID {
				return fmt.Errorf("read %s, want %s", m.ID, message(next, 0).ID)
			}
			next++
		}
	}
	return nil
}

// replicated makes every stream R3.
type replicated struct{ *Log }

func (r replicated) Stream(ctx context.Context, c events.StreamConfig) (events.Stream, error) {
	c.Replicas = 3
	return r.Log.Stream(ctx, c)
}

// join connects to the servers.
func join(t *testing.T, servers []*server.Server) *Log {
	t.Helper()
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	l, err := Connect(t.Context(), Config{URL: strings.Join(urls, ","), Name: "test", Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	l.patience = 2 * time.Second
	t.Cleanup(l.Close)
	return l
}

// cluster is three servers in this process, on loopback.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	var servers []*server.Server
	var routes []string
	for i := range 3 {
		opts := &server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		}
		s, err := server.NewServer(opts)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		if !s.ReadyForConnections(10 * time.Second) {
			t.Fatal("a server does not start")
		}
		servers, routes = append(servers, s), append(routes, "nats://"+s.ClusterAddr().String())
	}
	knowsAll := func(s *server.Server) bool {
		return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(servers)
	}
	for !slices.ContainsFunc(servers, knowsAll) {
		if !pause(t.Context(), 20*time.Millisecond) {
			t.Fatal("the servers elect no leader")
		}
	}
	return servers
}

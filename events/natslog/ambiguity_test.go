package natslog

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// An append whose request or answer is lost with the connection is recorded
// exactly once all the same.
func TestAppendIsRecordedOnceWhenTheConnectionBreaks(t *testing.T) {
	dir := t.TempDir()
	owner, err := StartServer(t.Context(), ServerConfig{Dir: dir, Share: true, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(owner.Close)
	p := newProxy(t, dir)
	l, err := dial(p.url, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	l.patience = 300 * time.Millisecond

	s, err := l.Stream(t.Context(), endless())
	if err != nil {
		t.Fatal(err)
	}
	quiet := lease("quiet")
	quiet.Heartbeat = time.Hour // so that what breaks the connection is the append
	w, err := s.Acquire(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, breaks := range []struct {
		name string
		arm  func()
	}{
		{"the answer is lost", func() { p.answers.Store(1) }},
		{"the second answer is lost", func() { p.answers.Store(2) }},
		{"the request is lost", func() { p.requests.Store(1) }},
	} {
		for _, size := range []int{1, 20} {
			t.Logf("%s, %d messages", breaks.name, size)
			batch := make([]events.Message, size)
			for i := range batch {
				batch[i] = message(n+i, 10)
			}
			breaks.arm()
			last, err := w.AppendAtomic(t.Context(), batch...)
			if err != nil {
				t.Fatal(err)
			}
			if n += size; last != uint64(n+1) {
				t.Fatalf("writer at %d, want %d", last, n+1)
			}
			p.answers.Store(0)
			p.requests.Store(0)
		}
	}
	info, err := s.Info(t.Context())
	if err != nil || info.Last != uint64(n+1) {
		t.Fatalf("stream at %d, want %d: %v", info.Last, n+1, err)
	}
	wantMessages(t, s, n, 10)
	if p.broken.Load() < 5 {
		t.Errorf("the connection broke only %d times", p.broken.Load())
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// proxy forwards to the owner of a data directory, and breaks a connection
// instead of forwarding the n-th chunk in one direction.
type proxy struct {
	url      string
	target   string
	requests atomic.Int32
	answers  atomic.Int32
	broken   atomic.Int32
	running  sync.WaitGroup
}

func newProxy(t *testing.T, dir string) *proxy {
	t.Helper()
	url, err := os.ReadFile(filepath.Join(dir, OwnerFile))
	if err != nil {
		t.Fatal(err)
	}
	credentials, target, _ := strings.Cut(string(url), "@")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: credentials + "@" + listener.Addr().String(), target: target}
	p.running.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.running.Wait()
	})
	return p
}

func (p *proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			return
		}
		p.running.Go(func() { p.forward(server, client, &p.requests) })
		p.running.Go(func() { p.forward(client, server, &p.answers) })
	}
}

func (p *proxy) forward(to io.WriteCloser, from io.ReadCloser, armed *atomic.Int32) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if armed.Load() > 0 && armed.Add(-1) == 0 {
			p.broken.Add(1)
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

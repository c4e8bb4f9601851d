package gwtest

import (
	"sync"
	"testing"
	"time"
)

// Load is clients that ask for something again and again, each one after the other.
type Load struct {
	ended   chan struct{}
	running sync.WaitGroup
	clients []*client
}

// client is one of them.
type client struct {
	name string

	mu       sync.Mutex
	answered int
	failed   []error
}

// NewLoad is without clients. Those that are added end with the test.
func NewLoad(t testing.TB) *Load {
	t.Helper()
	l := &Load{ended: make(chan struct{})}
	t.Cleanup(func() { close(l.ended); l.running.Wait() })
	return l
}

// pace is how often a client asks, at most.
const pace = 5 * time.Millisecond

// Add starts a client. Asking fails when the answer is not the one that it should be.
func (l *Load) Add(name string, ask func() error) {
	c := &client{name: name}
	l.clients = append(l.clients, c)
	l.running.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			c.note(ask())
			select {
			case <-tick.C:
			case <-l.ended:
				return
			}
		}
	})
}

func (c *client) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.answered++
	} else {
		c.failed = append(c.failed, err)
	}
}

// take is what became of the requests since it was last called.
func (c *client) take() (answered int, failed []error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answered, failed = c.answered, c.failed
	c.answered, c.failed = 0, nil
	return answered, failed
}

// During holds that no request fails while something is done and that each client asks
// meanwhile, and returns how many requests there were.
func (l *Load) During(t testing.TB, do func()) (requests int) {
	t.Helper()
	for _, c := range l.clients {
		_, _ = c.take()
	}
	do()
	for _, c := range l.clients {
		answered, failed := c.take()
		if len(failed) > 0 {
			t.Errorf("%s: %d of %d requests failed, the first one: %v", c.name, len(failed), len(failed)+answered, failed[0])
		}
		if answered+len(failed) == 0 {
			t.Errorf("%s: nothing was asked", c.name)
		}
		requests += answered + len(failed)
	}
	return requests
}

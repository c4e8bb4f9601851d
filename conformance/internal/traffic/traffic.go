// Package traffic asks a server again and again, and counts what it is answered.
//
// It is a client that no fault may reach: one request in flight on a connection that is
// kept, one on a new one, at a steady pace, until it is stopped. It never repeats what
// failed. An answer is counted by its status; what is no answer is an error, and the
// first of them is kept.
package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	pace = 10 * time.Millisecond
	// lastAnswer is how long one answer may take until it counts as an error.
	lastAnswer = 10 * time.Second
)

// Config says what is asked for.
type Config struct {
	// URL names the server by its address.
	URL string
	// Host is the hostname that is asked for.
	Host string
	// TLS is for a URL of https.
	TLS *tls.Config
}

// Tally is what was answered.
type Tally struct {
	Answers map[int]int // by status
	Errors  int
	First   error // of the errors
}

// Only tells whether there were answers, and none but those with the given statuses.
func (t Tally) Only(statuses ...int) error {
	if t.Errors > 0 {
		return fmt.Errorf("%s: the first error is %w", t, t.First)
	}
	if len(t.Answers) == 0 {
		return errors.New("nothing was answered")
	}
	for status := range t.Answers {
		if !slices.Contains(statuses, status) {
			return fmt.Errorf("%s: want none but %v", t, statuses)
		}
	}
	return nil
}

func (t Tally) String() string {
	text := fmt.Sprintf("%d errors", t.Errors)
	for _, status := range slices.Sorted(maps.Keys(t.Answers)) {
		text += fmt.Sprintf(", %d × %d", t.Answers[status], status)
	}
	return text
}

// Traffic is a client that asks until it is stopped.
type Traffic struct {
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	tally Tally
}

// Start begins to ask: on one connection that is kept, and beside that on a new one for
// each request. Neither uses HTTP/2.
func Start(ctx context.Context, cfg Config) (*Traffic, error) {
	// Of a GET that fails, net/http makes another one without a word.
	request, err := http.NewRequest(http.MethodPost, cfg.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	request.Host = cfg.Host
	ctx, cancel := context.WithCancel(ctx)
	t := &Traffic{cancel: cancel, tally: Tally{Answers: map[int]int{}}}
	for _, alwaysNew := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: cfg.TLS.Clone(), DisableKeepAlives: alwaysNew}
		client := &http.Client{
			Transport: transport, Timeout: lastAnswer,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		t.running.Go(func() {
			defer transport.CloseIdleConnections()
			t.ask(ctx, client, request)
		})
	}
	return t, nil
}

func (t *Traffic) ask(ctx context.Context, client *http.Client, request *http.Request) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// Not with ctx: a request that has begun is one that must be answered.
		status, err := get(client, request.Clone(context.WithoutCancel(ctx)))
		t.count(status, err)
	}
}

func get(client *http.Client, request *http.Request) (int, error) {
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func (t *Traffic) count(status int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.tally.Answers[status]++
		return
	}
	if t.tally.Errors++; t.tally.First == nil {
		t.tally.First = fmt.Errorf("at %s: %w", time.Now().Format("15:04:05.000"), err)
	}
}

// Peek returns what was counted since the last Take, and goes on.
func (t *Traffic) Peek() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied := t.tally
	copied.Answers = maps.Clone(copied.Answers)
	return copied
}

// Take returns what was counted since the last call, and counts from zero.
func (t *Traffic) Take() Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.tally
	t.tally = Tally{Answers: map[int]int{}}
	return taken
}

// Stop returns what was counted since the last Take, once nothing is asked any more.
func (t *Traffic) Stop() Tally {
	t.cancel()
	t.running.Wait()
	return t.Take()
}

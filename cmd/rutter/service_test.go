package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// service is a service command that runs until the test ends.
type service struct {
	t    testing.TB
	url  string // of health and metrics
	stop func()
}

// startService runs a service command on any port and returns when it has started.
func startService(t testing.TB, args ...string) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	var running sync.WaitGroup
	running.Go(func() {
		if code := run(ctx, environment{out: io.Discard, err: write, now: time.Now}, append(args, "--http-address", "127.0.0.1:0")); code != exitFine {
			t.Errorf("rutter %s: exit code %d", args[0], code)
		}
		_ = write.Close()
	})
	address := make(chan string, 1)
	running.Go(func() {
		for lines := bufio.NewScanner(read); lines.Scan(); {
			var line struct{ Msg, Address string }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Errorf("rutter %s: %s", args[0], lines.Text())
			}
			if line.Msg == "started" {
				address <- line.Address
			}
		}
		close(address)
	})
	s := &service{t: t, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(s.stop)
	at, ok := <-address
	if !ok {
		t.Fatalf("rutter %s does not start", args[0])
	}
	s.url = "http://" + at
	return s
}

// eventually waits for an answer of code with a text.
func (s *service) eventually(path string, code int, text string) {
	s.t.Helper()
	gwtest.Eventually(s.t, path, func() error {
		if status, body := s.get(path); status != code || !strings.Contains(body, text) {
			return fmt.Errorf("it is answered with %d %q, want %d %q", status, body, code, text)
		}
		return nil
	})
}

func (s *service) get(path string) (code int, body string) {
	s.t.Helper()
	response, err := http.Get(s.url + path)
	must(s.t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(s.t, err)
	return response.StatusCode, string(data)
}

func (s *service) metrics() string {
	s.t.Helper()
	_, body := s.get("/metrics")
	return body
}

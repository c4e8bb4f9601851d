package envoy

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// script answers the n-th request (from 0) of a backend.
func (b *backends) script(t testing.TB, name string, answer func(n int, w http.ResponseWriter, r *http.Request)) {
	var count atomic.Int64
	b.start(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.count(name)
		answer(int(count.Add(1))-1, w, r)
	}))
}

// hang waits until the client is gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestRequestsEndWhenTheirTimeoutIsReached(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("slow", route.HTTP1)
	b := newBackends(t)
	b.script(t, "slow", func(_ int, w http.ResponseWriter, r *http.Request) { hang(w, r) })
	timed := func(request, backend *time.Duration, retry *route.Retry) *route.Rule {
		r := rule("slow")
		r.Timeout, r.BackendTimeout, r.Retry = request, backend, retry
		return r
	}
	short, long := new(100*time.Millisecond), new(time.Hour)
	cases := map[string]struct {
		rule     *route.Rule
		attempts int
	}{
		"/request":      {timed(short, nil, nil), 1},
		"/backend":      {timed(nil, short, nil), 1},
		"/backendfirst": {timed(long, short, nil), 1},
		"/unlimited":    {timed(new(time.Duration(0)), short, nil), 1},
		// Attempts that time out are repeated, and the last one's end is the request's.
		"/attempts": {timed(long, short, &route.Retry{Attempts: 2, Backoff: new(time.Millisecond)}), 3},
		// The timeout of the request is over all attempts.
		"/total": {timed(new(350*time.Millisecond), new(200*time.Millisecond), &route.Retry{Attempts: 9, Backoff: new(time.Millisecond)}), 2},
	}
	var entries []route.Entry
	for path, c := range cases {
		entries = append(entries, entry(exactly(path), c.rule))
	}
	w.host("http-80", "a.test", entries...)
	p := serve(t, w, b)
	for path, c := range cases {
		before := b.requests("slow")
		if got := do(t, p.transport(80), request(t, "GET a.test"+path)); got.status != 504 {
			t.Errorf("%s: %d, want 504", path, got.status)
		}
		if got := b.requests("slow") - before; got != c.attempts {
			t.Errorf("%s: %d attempts, want %d", path, got, c.attempts)
		}
	}
}

func TestOnlyWhatTheBackendDidNotProcessIsRetried(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	b := newBackends(t)
	fail := func(status int) func(int, http.ResponseWriter, *http.Request) {
		return func(n int, w http.ResponseWriter, _ *http.Request) {
			if n < 2 {
				w.WriteHeader(status)
			}
		}
	}
	b.script(t, "code", fail(500))
	b.script(t, "othercode", fail(502))
	b.script(t, "few", fail(500))
	b.script(t, "never", fail(500))
	b.script(t, "noretry", fail(500))
	b.script(t, "grpc", func(n int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		if n == 0 {
			w.Header().Set("grpc-status", "14")
		} else {
			w.Header().Set("grpc-status", "0")
		}
	})
	b.script(t, "reset", func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	b.refuse(t, "half")
	b.script(t, "half", func(int, http.ResponseWriter, *http.Request) {})
	retry := &route.Retry{Attempts: 3, Codes: []uint32{500, 503}, Backoff: new(time.Millisecond)}
	var entries []route.Entry
	for _, c := range []struct {
		name  string
		retry *route.Retry
	}{
		{"code", retry}, {"othercode", retry}, {"few", &route.Retry{Attempts: 1, Codes: []uint32{500}}}, {"never", &route.Retry{Codes: []uint32{500}}},
		{"noretry", nil}, {"grpc", retry}, {"reset", retry}, {"half", &route.Retry{Attempts: 1}},
	} {
		w.cluster(c.name, route.HTTP1)
		r := rule(c.name)
		r.Retry = c.retry
		entries = append(entries, entry(exactly("/"+c.name), r))
	}
	w.host("http-80", "a.test", entries...)
	p := serve(t, w, b)
	for _, c := range []struct {
		name             string
		status, attempts int
	}{
		{"code", 200, 3}, {"othercode", 502, 1}, {"few", 500, 2}, {"never", 500, 1}, {"noretry", 500, 1}, {"grpc", 200, 2}, {"reset", 503, 1},
	} {
		if got := do(t, p.transport(80), request(t, "GET a.test/"+c.name)); got.status != c.status || b.requests(c.name) != c.attempts {
			t.Errorf("%s: %d after %d attempts, want %d after %d", c.name, got.status, b.requests(c.name), c.status, c.attempts)
		}
	}
	for range 20 { // one of the two endpoints refuses connections; the retry goes to the other
		if got := do(t, p.transport(80), request(t, "GET a.test/half")); got.status != 200 {
			t.Errorf("half: %d, want 200", got.status)
		}
	}
}

func TestARuleThatAsksForALongWaitIsNotCutByTheIdleLimit(t *testing.T) {
	for name, c := range map[string]struct {
		timeout *time.Duration
		lifted  bool
	}{
		"unset": {nil, false},
		"none":  {new(time.Duration(0)), true},
		"short": {new(time.Minute), false},
		"long":  {new(time.Hour), true},
	} {
		r := rule("a")
		r.Timeout = c.timeout
		action := &routev3.RouteAction{}
		setTimeouts(action, r)
		if lifted := action.IdleTimeout != nil && action.IdleTimeout.AsDuration() == 0; lifted != c.lifted {
			t.Errorf("%s: idle limit lifted %v, want %v", name, lifted, c.lifted)
		}
		if action.Timeout == nil {
			t.Errorf("%s: Envoy's default of 15 s applies", name)
		}
	}
}

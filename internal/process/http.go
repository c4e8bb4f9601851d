package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// farewell is how long an answer under way may take when the process ends.
const farewell = 2 * time.Second

// serve answers until ctx ends.
func (p *Process) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		_ = server.Shutdown(grace) // what has not ended by then ends with the process
	})
	err := server.Serve(listener)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (p *Process) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { say(w, p.notReady()) })
	mux.HandleFunc("GET /metrics", p.metrics)
	return mux
}

// say answers "ok", or 503 and the reason.
func say(w http.ResponseWriter, problem error) {
	if problem == nil {
		fmt.Fprintln(w, "ok")
		return
	}
	http.Error(w, problem.Error(), http.StatusServiceUnavailable)
}

// metrics are those of the process and of its present session.
func (p *Process) metrics(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	all := prometheus.Gatherers{p.Registry, p.session}
	p.mu.Unlock()
	promhttp.HandlerFor(all, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

package envoyagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Config of an agent.
type Config struct {
	// Listener is where the agent is asked.
	Listener net.Listener
	// AdminSocket is Envoy's administration interface.
	AdminSocket string
	// Least is how long draining takes in any case: until the last load balancer has
	// noticed that this pod is ending. Most is when it is over in any case.
	Least, Most time.Duration
	Logger      *slog.Logger
}

// pollEvery is how often connections are counted while draining.
const pollEvery = 200 * time.Millisecond

type agent struct {
	Config
	admin    *admin
	draining <-chan struct{}
	drained  chan struct{}
}

// Run answers until ctx ends, and then drains the Envoy.
func Run(ctx context.Context, c Config) error {
	if c.Listener == nil || c.AdminSocket == "" || c.Least < 0 || c.Most < c.Least || c.Logger == nil {
		return errors.New("envoy agent: an incomplete configuration")
	}
	a := &agent{Config: c, admin: newAdmin(c.AdminSocket), draining: ctx.Done(), drained: make(chan struct{})}
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(c.Listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("envoy agent: %w", err)
	case <-ctx.Done():
	}
	working := context.WithoutCancel(ctx)
	a.drain(working)
	close(a.drained)
	// Whoever waits to be told that it is over is told before the server ends.
	goodbye, cancel := context.WithTimeout(working, time.Second)
	defer cancel()
	err := server.Shutdown(goodbye)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // who connected and asked nothing is not waited for
	}
	if serving := <-failed; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}

func (a *agent) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /drained", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-a.drained:
			fmt.Fprintln(w, "ok")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		body, err := a.admin.ask(r.Context(), http.MethodGet, "/stats/prometheus")
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer body.Close()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		if _, err := io.Copy(w, body); err != nil {
			a.Logger.Warn("statistics were not passed on", "error", err)
		}
	})
	return mux
}

func (a *agent) ready(ctx context.Context) error {
	select {
	case <-a.draining:
		return errors.New("draining")
	default:
		return a.admin.do(ctx, http.MethodGet, "/ready")
	}
}

// drain asks Envoy to send its clients away, and waits until they have gone. With
// skip_exit it goes on to accept: who has not heard yet is served to the end.
func (a *agent) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.Most)
	defer cancel()
	started := time.Now()
	if err := a.admin.do(ctx, http.MethodPost, "/drain_listeners?graceful&skip_exit"); err != nil {
		a.Logger.Error("Envoy does not drain", "error", err)
		return
	}
	a.Logger.Info("draining")
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			a.Logger.Warn("clients are still connected at the end of draining")
			return
		case <-ticker.C:
		}
		n, err := a.admin.connections(ctx)
		if time.Since(started) < a.Least {
			continue
		}
		if err != nil && ctx.Err() == nil {
			a.Logger.Error("Envoy does not answer while draining", "error", err)
			return
		}
		if err == nil && n == 0 {
			a.Logger.Info("drained")
			return
		}
	}
}

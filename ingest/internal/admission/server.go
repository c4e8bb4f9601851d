package admission

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/process"
)

// maxReview is how many bytes a review may have: an object before and after, each of
// which the API server's own store limits to 1.5 MiB.
const maxReview = 8 << 20

// Config of a server.
type Config struct {
	Reviewer

	Listener net.Listener
	TLS      *tls.Config
	// Path is where reviews are taken: who knows it is the API server. It is asked anew
	// each time, and "" is nowhere.
	Path func() string
	// Stream is ACTORS.
	Stream     Publisher
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Server answers the API server.
type Server struct {
	Config
	metrics *metrics
	queue   chan events.Event
}

// New registers the metrics.
func New(c Config) (*Server, error) {
	if c.Listener == nil || c.TLS == nil || c.Path == nil || c.Stream == nil {
		return nil, errors.New("seeing who asks needs a listener, TLS, a path and a stream")
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, err
	}
	return &Server{Config: c, metrics: m, queue: make(chan events.Event, queueLength)}, nil
}

// Run serves until ctx ends; what was seen by then is recorded.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: s, TLSConfig: s.TLS, ReadTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug), // of connections: anybody can make them fail
	}
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	var recorder sync.WaitGroup
	recorder.Go(func() { s.record(recording) })
	defer recorder.Wait()
	defer stop()
	closed := make(chan struct{})
	keep := context.AfterFunc(ctx, func() {
		defer close(closed)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		_ = server.Shutdown(grace) // what has not ended by then was not answered
	})
	err := server.ServeTLS(s.Listener, "", "")
	if !keep() {
		<-closed
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the admission webhook: %w", err)
}

// ServeHTTP allows what is reviewed, and queues who asks for it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := s.Path()
	if path == "" || subtle.ConstantTimeCompare([]byte(path), []byte(r.URL.Path)) == 0 {
		s.metrics.dropped.WithLabelValues(reasonStranger).Inc()
		http.NotFound(w, r)
		return
	}
	started := time.Now()
	defer func() { s.metrics.seconds.Observe(time.Since(started).Seconds()) }()
	var review admissionv1.AdmissionReview
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
	if err == nil {
		err = json.Unmarshal(body, &review)
	}
	if err == nil && review.Request == nil {
		err = errors.New("it has no request")
	}
	if err != nil {
		s.metrics.dropped.WithLabelValues(reasonUnreadable).Inc()
		http.Error(w, "read the review: "+err.Error(), http.StatusBadRequest)
		return
	}
	e, err := s.Event(review.Request)
	switch {
	case err == nil:
		s.put(e)
	case errors.Is(err, errUnrecorded):
		s.metrics.dropped.WithLabelValues(reasonUnrecorded).Inc()
	case errors.Is(err, errUnchanged):
		s.metrics.dropped.WithLabelValues(reasonUnchanged).Inc()
	default:
		s.metrics.dropped.WithLabelValues(reasonUnreadable).Inc()
		about := events.Key{Resource: review.Request.Resource.Resource, Namespace: review.Request.Namespace, Name: review.Request.Name}
		s.Logger.Debug("a request cannot be read", process.About(about, 0, 0), slog.Any("error", err))
	}
	answer := admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // whoever asked has gone, and goes on without it
}

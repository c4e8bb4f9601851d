package process

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
)

// errConnecting does not say where to: a NATS URL may hold a password.
var errConnecting = errors.New("connecting to NATS")

// Session is one life of a service on an open log.
type Session struct {
	Log events.Log
	// Streams are all streams, by name; those that did not exist are made.
	Streams map[string]events.Stream
	// Registerer takes the metrics of this life; those of the life before are gone.
	Registerer prometheus.Registerer
}

// Open connects to NATS, trying until ctx ends, and opens the streams. Close the
// log when done.
func (p *Process) Open(ctx context.Context) (*Session, error) {
	log, err := natslog.Connect(ctx, natslog.Config{
		URL: p.NATS.URL, Name: p.Name, Credentials: p.NATS.Credentials,
		CA: p.NATS.CA, Certificate: p.NATS.Certificate, Key: p.NATS.Key, Logger: p.Logger,
	})
	if err != nil {
		return nil, err
	}
	s := &Session{Log: log, Streams: map[string]events.Stream{}, Registerer: p.Registry}
	for _, c := range events.Streams(p.NATS.Replicas) {
		if s.Streams[c.Name], err = log.Stream(ctx, c); err != nil {
			log.Close()
			return nil, err
		}
	}
	return s, nil
}

// OnLog lets a service live on an open log until ctx ends: after each error the
// log is opened anew and the service started again, after a back-off. Meanwhile
// the process is not ready, for the reason of the error. It returns when ctx has
// ended.
func (p *Process) OnLog(ctx context.Context, service func(context.Context, *Session) error) error {
	p.setTrouble(errConnecting)
	Retry(ctx, func(ctx context.Context) error { return p.live(ctx, service) }, func(err error, retryCount int) {
		p.Logger.Error("service is started again", "retryCount", retryCount, "error", err)
		p.reopened.Inc()
		p.setTrouble(err)
	})
	return ctx.Err()
}

// live is one session.
func (p *Process) live(ctx context.Context, service func(context.Context, *Session) error) error {
	s, err := p.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Log.Close()
	registry := prometheus.NewRegistry()
	s.Registerer = registry
	p.mu.Lock()
	p.session, p.ready = registry, nil
	p.mu.Unlock()
	p.setTrouble(nil)
	return service(ctx, s)
}

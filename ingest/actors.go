package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/admission"
)

// Actors says where it is seen who asks the API server for changes: an admission
// webhook that allows everything. Every ingest may see some of it, also one that stands by.
type Actors struct {
	Listener net.Listener
	TLS      *tls.Config
	// Path is where reviews are taken, which only the API server knows; "" for nowhere yet.
	Path func() string
	// Stream is ACTORS.
	Stream events.Stream
}

func newActors(c Config) (*admission.Server, error) {
	if c.Actors == nil {
		return nil, nil //nolint:nilnil // nobody is to be seen
	}
	if c.Kubernetes == nil {
		return nil, errors.New("only who changes a cluster can be seen")
	}
	return admission.New(admission.Config{
		Reviewer: admission.Reviewer{Cluster: c.Cluster, Now: c.Now},
		Listener: c.Actors.Listener, TLS: c.Actors.TLS, Path: c.Actors.Path, Stream: c.Actors.Stream, Logger: c.Logger, Registerer: c.Registerer,
	})
}

// Run records until ctx ends. It returns an error when the log refuses for good
// ([events.ErrFenced]: another ingest took over) or cannot be read.
func (s *Service) Run(ctx context.Context) error {
	if s.actors == nil {
		return s.epochs(ctx)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var failed error
	var seeing sync.WaitGroup
	seeing.Go(func() {
		failed = s.actors.Run(ctx)
		end()
	})
	err := s.epochs(ctx)
	end()
	seeing.Wait()
	return errors.Join(err, failed)
}

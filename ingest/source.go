package ingest

import (
	"context"
	"errors"

	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// errStartAnew is returned by a source that cannot go on in this epoch: what it
// follows is older than what it has seen, as after a restore from a backup.
var errStartAnew = errors.New("the source has gone back in time")

// origin is where objects come from, before anything is read.
type origin interface {
	// resources are those that are listed and followed, in the order of their brackets.
	resources() []string
	// identify waits until the origin answers, and is the uid of its cluster; "" of
	// what is no cluster.
	identify(ctx context.Context) (string, error)
	// open begins to read. What s has recorded is what the lists are compared with,
	// and may be looked at from within Next.
	open(ctx context.Context, s *Service) (source, error)
}

// source is where the objects in force come from. Use it from one goroutine.
type source interface {
	// Next waits for changes: the first ones are lists of everything there is. It
	// may be called again after ctx ended.
	Next(ctx context.Context) (observed.Changes, error)
	// Store puts away what makes the next start quick.
	Store(ctx context.Context)
	Close() error
}

package xdsserver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/xds-server/internal/disk"
)

// loadCopy serves what the local copy holds.
func (s *Server) loadCopy() error {
	if s.config.LocalCopy == "" {
		return nil
	}
	c, err := disk.Load(s.config.LocalCopy)
	if c == nil || err != nil {
		return err
	}
	if err := s.store.Take(c.Routing); err != nil {
		return fmt.Errorf("%w: in %s: %w; delete it, and a new one is written from the log", disk.ErrDamaged, s.config.LocalCopy, err)
	}
	s.endpoints.restore(c.Slices, c.Position)
	s.config.Logger.Info("serving the local copy until the log is read", slog.Any("version", c.Routing.Version))
	return nil
}

// keepCopies saves a copy when something has changed, at most once every
// CopyEvery, and a last one when ctx ends.
func (s *Server) keepCopies(ctx context.Context) {
	if s.config.LocalCopy == "" {
		return
	}
	var saved state
	for ctx.Err() == nil {
		changed := s.store.Changed()
		saved = s.saveCopy(saved)
		select {
		case <-changed:
		case <-ctx.Done():
		}
		select {
		case <-time.After(s.config.CopyEvery):
		case <-ctx.Done():
		}
	}
	s.saveCopy(saved)
}

// state is what a copy is a copy of.
type state struct {
	routing   events.Version
	endpoints disk.Position
}

// saveCopy saves a copy unless it would be that of before, and returns what is saved.
func (s *Server) saveCopy(before state) state {
	whole := s.store.Whole()
	slices, position, ok := s.endpoints.copied()
	if whole == nil || !ok {
		return before
	}
	now := state{routing: whole.Version, endpoints: position}
	if now == before {
		return before
	}
	if err := disk.Save(s.config.LocalCopy, &disk.Copy{Routing: whole, Slices: slices, Position: position}); err != nil {
		s.config.Logger.Error("local copy cannot be saved; serving goes on", slog.Any("error", err))
		return before
	}
	return now
}

package xdsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/xds-server/internal/disk"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// endpointsFollower keeps the store's assignments those of ENDPOINTS.
//
// Where it cannot go on from the position it has (at first, or when the stream
// was rebuilt or no longer reaches back), it builds a new table beside the one
// that is served, and changes over when that is complete: a list was begun and
// completed in it (between the two stands every slice that exists, so that it does
// not matter what retention has removed before), and everything that was in the
// stream at the beginning is read. So a
// half-read world is never served (invariant 5), and an old one rather than none.
type endpointsFollower struct {
	store      *store.Store
	logger     *slog.Logger
	unreadable prometheus.Counter
	// reached is told that what was in the stream when it was opened is read.
	reached func()

	mu       sync.Mutex
	table    *endpoints.Table // nil until the first complete one
	position disk.Position
	// end is where the stream ended when it was opened.
	end uint64
}

func newEndpointsFollower(s *store.Store, c Config, reached func()) (*endpointsFollower, error) {
	f := &endpointsFollower{store: s, logger: c.Logger, reached: reached, unreadable: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rutter_xds_endpointslices_unreadable_total", Help: "EndpointSlice events that could not be read; the state before stays in force.",
	})}
	return f, c.Registerer.Register(f.unreadable)
}

// restore begins with a table of which the slices and the position are known.
func (f *endpointsFollower) restore(slices []endpoints.Slice, position disk.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replace(endpoints.NewTable(slices), position)
}

func (f *endpointsFollower) synced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.table != nil
}

// sequence is the last of the stream that is in force.
func (f *endpointsFollower) sequence() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position.Sequence
}

// copied is what [endpointsFollower.restore] takes; false before the first
// complete table.
func (f *endpointsFollower) copied() ([]endpoints.Slice, disk.Position, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.table == nil {
		return nil, disk.Position{}, false
	}
	return f.table.Slices(), f.position, true
}

// follow reads until there is an error.
func (f *endpointsFollower) follow(ctx context.Context, stream Endpoints) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", events.StreamEndpoints, err)
	}
	f.mu.Lock()
	f.end = info.Last
	f.mu.Unlock()
	if f.resumable(info) {
		err = f.resume(ctx, stream)
		if !errors.Is(err, events.ErrGap) {
			return err
		}
	}
	if err := f.rebuild(ctx, stream, info); err != nil {
		return err
	}
	return f.resume(ctx, stream)
}

// resumable tells whether the stream goes on from the position held.
func (f *endpointsFollower) resumable(info events.StreamInfo) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.table != nil && f.position.Incarnation == info.Incarnation &&
		f.position.Sequence+1 >= info.First && f.position.Sequence <= info.Last
}

// resume applies what comes after the position held.
func (f *endpointsFollower) resume(ctx context.Context, stream Endpoints) error {
	f.mu.Lock()
	from := f.position.Sequence + 1
	f.tell()
	f.mu.Unlock()
	reader := stream.Reader(from)
	defer reader.Close()
	for {
		batch, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", events.StreamEndpoints, err)
		}
		if err := f.advance(batch); err != nil {
			return err
		}
	}
}

func (f *endpointsFollower) advance(batch []events.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list listing
	err := f.apply(f.table, batch, &list, func(m events.Message) { f.position.Sequence = m.Sequence })
	f.store.SetEndpoints(f.table.Take())
	f.tell()
	return err
}

// tell says that the end is reached, once it is; the caller holds mu.
func (f *endpointsFollower) tell() {
	if f.position.Sequence >= f.end {
		f.reached()
	}
}

// rebuild reads the stream from its beginning into a new table, and returns when
// that has replaced the one before.
func (f *endpointsFollower) rebuild(ctx context.Context, stream Endpoints, info events.StreamInfo) error {
	table, position := endpoints.NewTable(nil), disk.Position{Incarnation: info.Incarnation}
	reader := stream.Reader(0)
	defer reader.Close()
	var list listing
	for !list.completed || position.Sequence < info.Last {
		batch, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", events.StreamEndpoints, err)
		}
		if err := f.apply(table, batch, &list, func(m events.Message) { position.Sequence = m.Sequence }); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replace(table, position)
	return nil
}

// replace serves another table; the caller holds mu.
func (f *endpointsFollower) replace(table *endpoints.Table, position disk.Position) {
	table.Take()
	f.table, f.position = table, position
	f.store.ReplaceEndpoints(table.All())
}

// listing tells whether a list of the slices was begun, and then completed.
type listing struct{ begun, completed bool }

func (l *listing) add(e events.Event) {
	if e.Key != events.SyncKey(events.EndpointSlices) {
		return
	}
	l.begun = l.begun || e.Type == events.TypeSyncStart
	l.completed = l.completed || l.begun && e.Type == events.TypeSyncDone
}

// apply adds messages to a table and a listing, and calls done after each. An
// envelope that this build does not know is an error; a slice that cannot be read
// leaves its last state in force.
func (f *endpointsFollower) apply(table *endpoints.Table, batch []events.Message, list *listing, done func(events.Message)) error {
	for _, m := range batch {
		e, err := events.Decode(m)
		if err != nil {
			return fmt.Errorf("read %s: %w", events.StreamEndpoints, err)
		}
		list.add(e)
		if err := table.Apply(e); err != nil {
			f.unreadable.Inc()
			f.logger.Warn("endpointslice cannot be read; its last state stays in force", process.About(e.Key, 0, 0),
				slog.String("stream", events.StreamEndpoints), slog.Uint64("seq", m.Sequence), slog.Any("error", err))
		}
		done(m)
	}
	return nil
}

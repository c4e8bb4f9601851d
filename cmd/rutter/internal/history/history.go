package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
)

// History is the log of one cluster, for reading.
type History struct {
	events, snapshots events.Stream
	// actors is nil where nobody ever looked who asks for changes, receipts where no xDS
	// server ever reported.
	actors, receipts events.Stream
	bucket, folds    events.Bucket

	// Progress is told, while events are read one after the other, how many of how many
	// there have been; it may be nil.
	Progress func(done, of uint64)
}

// Open opens the streams. The error says when nothing was ever recorded there.
func Open(ctx context.Context, log events.Log) (*History, error) {
	h := &History{}
	for name, stream := range map[string]*events.Stream{events.StreamEvents: &h.events, events.StreamSnapshots: &h.snapshots} {
		var err error
		*stream, err = log.Stream(ctx, events.StreamConfig{Name: name})
		if errors.Is(err, events.ErrNotFound) {
			return nil, errors.New("nothing was ever recorded there: no Rutter has run on this log")
		}
		if err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
	}
	for name, stream := range map[string]*events.Stream{events.StreamActors: &h.actors, events.StreamReceipts: &h.receipts} {
		found, err := log.Stream(ctx, events.StreamConfig{Name: name})
		if err != nil && !errors.Is(err, events.ErrNotFound) {
			return nil, fmt.Errorf("open history: %w", err)
		}
		if err == nil {
			*stream = found
		}
	}
	for name, bucket := range map[string]*events.Bucket{routing.CheckpointBucket: &h.bucket, projector.FoldBucket: &h.folds} {
		var err error
		if *bucket, err = log.Bucket(ctx, name); err != nil {
			return nil, fmt.Errorf("open history: %w", err)
		}
	}
	return h, nil
}

// State is what was published at a version: the newest one that is not after it.
func (h *History) State(ctx context.Context, version events.Version) (*routing.State, error) {
	follower, err := routing.FollowAt(ctx, h.snapshots, h.bucket, version)
	if err != nil {
		return nil, err
	}
	defer follower.Close()
	state, err := follower.LoadAt(ctx, version)
	if errors.Is(err, events.ErrGap) {
		return nil, h.dropped(ctx, version)
	}
	if err != nil {
		return nil, err
	}
	if !state.Version.IsZero() {
		return state, nil
	}
	if info, err := h.events.Info(ctx); err == nil && info.Incarnation != version.Incarnation {
		return nil, fmt.Errorf("no version of the incarnation %s is kept; that of the log is %s", version.Incarnation, info.Incarnation)
	}
	first, err := h.firstWhole(ctx)
	if err != nil {
		return nil, fmt.Errorf("nothing was published yet at %s", version)
	}
	return nil, fmt.Errorf("nothing was published yet at %s; the first version is %s of %s", version, first.Version, first.Time.Format(time.RFC3339))
}

// dropped says of a version that it is no longer kept, and which is.
func (h *History) dropped(ctx context.Context, version events.Version) error {
	first, err := h.firstWhole(ctx)
	if err != nil {
		return fmt.Errorf("what was published at %s is no longer kept: %w", version, err)
	}
	return fmt.Errorf("what was published at %s is no longer kept; the oldest version that is: %s of %s", version, first.Version, first.Time.Format(time.RFC3339))
}

// firstWhole is the first version that is kept as a whole: from there on it is known what
// was served.
func (h *History) firstWhole(ctx context.Context) (*routing.Snapshot, error) {
	follower, err := routing.FollowFirst(ctx, h.snapshots, h.bucket)
	if err != nil {
		return nil, err
	}
	defer follower.Close()
	info, err := h.snapshots.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read SNAPSHOTS: %w", err)
	}
	kept, err := follower.NextUntil(ctx, info.Last)
	for ; err == nil && len(kept) > 0; kept, err = follower.NextUntil(ctx, info.Last) {
		for _, s := range kept {
			if s.Previous.IsZero() {
				return s, nil
			}
		}
	}
	return nil, cmp.Or(err, events.ErrGap)
}

// read hands the events there are from a sequence on (0: from the first) up to another to
// take, in order.
func (h *History) read(ctx context.Context, from, last uint64, take func(events.Event)) error {
	reader := h.events.Reader(from)
	defer reader.Close()
	for at, done := uint64(0), uint64(0); at < last; {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read EVENTS: %w", err)
		}
		if done += uint64(len(messages)); h.Progress != nil {
			h.Progress(done, done+last-min(last, messages[len(messages)-1].Sequence))
		}
		for _, m := range messages {
			if at = m.Sequence; at > last {
				break
			}
			e, err := decode(m)
			if err != nil {
				return err
			}
			take(e)
		}
	}
	return nil
}

func decode(m events.Message) (events.Event, error) {
	e, err := events.Decode(m)
	if err != nil {
		return e, fmt.Errorf("read EVENTS: %w", err)
	}
	return e, nil
}

// event is the one at a sequence.
func (h *History) event(ctx context.Context, sequence uint64) (events.Event, error) {
	m, err := h.events.Get(ctx, sequence)
	if err != nil {
		return events.Event{}, err
	}
	return decode(m)
}

// timeOf is when the event at a sequence was observed.
func (h *History) timeOf(ctx context.Context, sequence uint64) (time.Time, error) {
	m, err := h.events.Get(ctx, sequence)
	if err != nil {
		return time.Time{}, err
	}
	e, err := events.Decode(m)
	return e.Time, err
}

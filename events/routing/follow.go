package routing

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// Follower reads the versions of a cluster, oldest first and then live.
type Follower struct {
	stream   events.Stream
	reader   events.Reader
	parts    Assembler
	full     *Snapshot
	position events.Version
}

// Follow reads from the newest checkpoint on, or from the beginning where there
// is none.
func Follow(ctx context.Context, stream events.Stream, bucket events.Bucket) (*Follower, error) {
	return follow(ctx, stream, bucket, math.MaxUint64, func(*Snapshot) bool { return true })
}

// FollowAt is [Follow] from the newest checkpoint that is not after version.
func FollowAt(ctx context.Context, stream events.Stream, bucket events.Bucket, version events.Version) (*Follower, error) {
	position, err := PositionAt(ctx, stream, version)
	if err != nil {
		return nil, err
	}
	return follow(ctx, stream, bucket, position, func(s *Snapshot) bool {
		return s.Version.Incarnation == version.Incarnation && s.Version.Sequence <= version.Sequence
	})
}

// FollowFrom reads on after position, which an earlier Follower gave.
func FollowFrom(stream events.Stream, position events.Version) *Follower {
	return &Follower{stream: stream, reader: stream.Reader(position.Sequence + 1), position: position}
}

// FollowFirst reads all that there is: from the first version, or from the oldest
// checkpoint where retention has removed that.
func FollowFirst(ctx context.Context, stream events.Stream, bucket events.Bucket) (*Follower, error) {
	info, names, err := checkpoints(ctx, stream, bucket)
	if err != nil {
		return nil, err
	}
	if info.First <= 1 || len(names) == 0 {
		return FollowFrom(stream, events.Version{Incarnation: info.Incarnation}), nil
	}
	return followCheckpoint(ctx, stream, bucket, names[0], func(*Snapshot) bool { return true })
}

// follow reads from the newest checkpoint up to a place in SNAPSHOTS that take accepts.
func follow(ctx context.Context, stream events.Stream, bucket events.Bucket, until uint64, take func(*Snapshot) bool) (*Follower, error) {
	info, names, err := checkpoints(ctx, stream, bucket)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		if placeOf(name) > until {
			continue
		}
		if f, err := followCheckpoint(ctx, stream, bucket, name, take); f != nil || err != nil {
			return f, err
		}
	}
	return FollowFrom(stream, events.Version{Incarnation: info.Incarnation}), nil
}

// checkpoints are the names of those from which the stream can be read on,
// oldest first.
func checkpoints(ctx context.Context, stream events.Stream, bucket events.Bucket) (events.StreamInfo, []string, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return info, nil, fmt.Errorf("open SNAPSHOTS: %w", err)
	}
	names, err := bucket.List(ctx)
	if err != nil {
		return info, nil, fmt.Errorf("list checkpoints: %w", err)
	}
	return info, slices.DeleteFunc(names, func(name string) bool {
		incarnation, number, _ := strings.Cut(name, "/")
		sequence, err := strconv.ParseUint(number, 10, 64)
		return incarnation != info.Incarnation || err != nil || sequence+1 < info.First || sequence > info.Last
	}), nil
}

// followCheckpoint reads on from a checkpoint; nil if take does not accept it.
func followCheckpoint(ctx context.Context, stream events.Stream, bucket events.Bucket, name string, take func(*Snapshot) bool) (*Follower, error) {
	c, err := GetCheckpoint(ctx, bucket, name)
	if err != nil || !take(c.Full) {
		return nil, err
	}
	f := FollowFrom(stream, c.Position)
	f.full = c.Full
	return f, nil
}

// Next waits for at least one version and returns all that are there, in order.
// The first may be a whole version (Previous zero): what was held before is void.
func (f *Follower) Next(ctx context.Context) ([]*Snapshot, error) {
	for {
		snapshots, err := f.read(ctx)
		if err != nil || len(snapshots) > 0 {
			return snapshots, err
		}
	}
}

// NextUntil is Next for what is there already: none once SNAPSHOTS is read up to
// the sequence last, where Next would wait. What ends SNAPSHOTS need not be a
// version.
func (f *Follower) NextUntil(ctx context.Context, last uint64) ([]*Snapshot, error) {
	for f.full != nil || f.position.Sequence < last {
		snapshots, err := f.read(ctx)
		if err != nil || len(snapshots) > 0 {
			return snapshots, err
		}
	}
	return nil, nil
}

// read is the checkpoint, or one batch of messages: the versions that end in it.
func (f *Follower) read(ctx context.Context) ([]*Snapshot, error) {
	if full := f.full; full != nil {
		f.full = nil
		return []*Snapshot{full}, nil
	}
	messages, err := f.reader.Next(ctx)
	if err != nil {
		return nil, fmt.Errorf("read SNAPSHOTS: %w", err)
	}
	var snapshots []*Snapshot
	for _, m := range messages {
		s, err := f.parts.Add(m)
		if err != nil {
			return nil, fmt.Errorf("read SNAPSHOTS: %w", err)
		}
		if !f.parts.Partial() {
			f.position.Sequence = m.Sequence
		}
		if s != nil {
			snapshots = append(snapshots, s)
		}
	}
	return snapshots, nil
}

// Load is the newest version there is; its Version is zero where there is none.
func (f *Follower) Load(ctx context.Context) (*State, error) {
	return f.load(ctx, func(*Snapshot) bool { return true })
}

// LoadAt is the newest version that is not after version.
func (f *Follower) LoadAt(ctx context.Context, version events.Version) (*State, error) {
	return f.load(ctx, func(s *Snapshot) bool {
		return s.Version.Incarnation == version.Incarnation && s.Version.Sequence <= version.Sequence
	})
}

func (f *Follower) load(ctx context.Context, take func(*Snapshot) bool) (*State, error) {
	info, err := f.stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open SNAPSHOTS: %w", err)
	}
	state := NewState()
	for {
		snapshots, err := f.NextUntil(ctx, info.Last)
		if err != nil {
			return nil, err
		}
		if len(snapshots) == 0 {
			return state, nil
		}
		for _, s := range snapshots {
			if !take(s) {
				return state, nil
			}
			if s.Previous.IsZero() {
				state = NewState()
			}
			if err := state.Apply(s); err != nil {
				return nil, err
			}
		}
	}
}

// Position is where in SNAPSHOTS the follower has read to, between two versions.
func (f *Follower) Position() events.Version { return f.position }

// Close ends reading.
func (f *Follower) Close() { f.reader.Close() }

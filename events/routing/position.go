package routing

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// PositionAt is the sequence up to which SNAPSHOTS holds only versions that are not
// after version, found by bisection. Where the newest one is of another incarnation,
// which cannot be compared, it is the end of all sequences.
func PositionAt(ctx context.Context, stream events.Stream, version events.Version) (uint64, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("open SNAPSHOTS: %w", err)
	}
	newest, _, err := versionAt(ctx, stream, info.First, info.Last)
	if err != nil {
		return 0, err
	}
	if newest.Incarnation != version.Incarnation {
		return math.MaxUint64, nil
	}
	first, end := info.First, info.Last+1 // all before first are not after version, all from end on are
	for first < end {
		middle := first + (end-first)/2
		v, at, err := versionAt(ctx, stream, first, middle)
		if err != nil {
			return 0, err
		}
		if v.Incarnation != version.Incarnation || v.Sequence <= version.Sequence { // other incarnations lie before
			first = middle + 1
		} else {
			end = at
		}
	}
	return first - 1, nil
}

// versionAt is the version of which the message at to is a part, or else of that
// nearest before it, not before from, and where that is; zero where there is none.
func versionAt(ctx context.Context, stream events.Stream, from, to uint64) (events.Version, uint64, error) {
	for at := to; at >= from && at > 0; at-- {
		m, err := stream.Get(ctx, at)
		if err != nil {
			return events.Version{}, at, fmt.Errorf("read SNAPSHOTS: %w", err)
		}
		if text := m.Header[headerVersion]; text != "" {
			v, err := events.ParseVersion(text)
			return v, at, err
		}
	}
	return events.Version{}, from, nil
}

// CheckpointsBetween are the places of the whole versions that lie behind one sequence
// of SNAPSHOTS and ahead of another, in order. [FollowCheckpoint] reads on from one.
func CheckpointsBetween(ctx context.Context, stream events.Stream, bucket events.Bucket, after, before uint64) ([]events.Version, error) {
	info, names, err := checkpoints(ctx, stream, bucket)
	if err != nil {
		return nil, err
	}
	var out []events.Version
	for _, name := range names {
		if at := placeOf(name); at > after && at < before {
			out = append(out, events.Version{Incarnation: info.Incarnation, Sequence: at})
		}
	}
	return out, nil
}

// FollowCheckpoint reads from the whole version at a place on, that one first.
func FollowCheckpoint(ctx context.Context, stream events.Stream, bucket events.Bucket, position events.Version) (*Follower, error) {
	return followCheckpoint(ctx, stream, bucket, CheckpointName(position), func(*Snapshot) bool { return true })
}

// placeOf is the sequence in the name of a checkpoint.
func placeOf(name string) uint64 {
	_, number, _ := strings.Cut(name, "/")
	at, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0
	}
	return at
}

package routing

import (
	"context"
	"fmt"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// CheckpointBucket is the object store of the checkpoints of SNAPSHOTS; a name
// there is <incarnation of SNAPSHOTS>/<sequence of SNAPSHOTS>, zero-padded.
const CheckpointBucket = "rutter-snapshots"

// Checkpoint is a whole version, so that a reader need not read SNAPSHOTS from
// its beginning, which retention removes.
type Checkpoint struct {
	Format int `json:"format"`
	// Position is where in SNAPSHOTS the version ends: its incarnation and the
	// sequence of the last message.
	Position events.Version `json:"position"`
	Full     *Snapshot      `json:"full"`
}

// Name is that of the checkpoint in its bucket.
func (c *Checkpoint) Name() string { return CheckpointName(c.Position) }

// CheckpointName is the name of the checkpoint at a position; names sort by sequence.
func CheckpointName(position events.Version) string {
	return fmt.Sprintf("%s/%020d", position.Incarnation, position.Sequence)
}

// PutCheckpoint stores a whole version.
func PutCheckpoint(ctx context.Context, bucket events.Bucket, position events.Version, full *Snapshot) error {
	c := &Checkpoint{Format: FormatVersion, Position: position, Full: full}
	data, encoding, err := Marshal(c)
	if err == nil {
		err = bucket.Put(ctx, c.Name(), append([]byte(encoding+"\n"), data...))
	}
	if err != nil {
		return fmt.Errorf("store checkpoint of version %s: %w", full.Version, err)
	}
	return nil
}

// GetCheckpoint reads the whole version that is stored under a name.
func GetCheckpoint(ctx context.Context, bucket events.Bucket, name string) (*Checkpoint, error) {
	data, err := bucket.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", name, err)
	}
	encoding, body, _ := strings.Cut(string(data), "\n")
	c := &Checkpoint{}
	if err := Unmarshal([]byte(body), encoding, c); err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", name, err)
	}
	if c.Format != FormatVersion || c.Full == nil {
		return nil, fmt.Errorf("read checkpoint %s: %w: format %d, this build reads %d", name, ErrFormat, c.Format, FormatVersion)
	}
	return c, nil
}

// FirstCheckpoint is the oldest from which SNAPSHOTS can be read on; nil for none.
func FirstCheckpoint(ctx context.Context, stream events.Stream, bucket events.Bucket) (*Checkpoint, error) {
	_, names, err := checkpoints(ctx, stream, bucket)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	return GetCheckpoint(ctx, bucket, names[0])
}

// CheckpointAt makes one of the newest version that is not after version, as it was
// published; nil where there is none.
func CheckpointAt(ctx context.Context, stream events.Stream, bucket events.Bucket, version events.Version) (*Checkpoint, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open SNAPSHOTS: %w", err)
	}
	follower, err := FollowAt(ctx, stream, bucket, version)
	if err != nil {
		return nil, err
	}
	defer follower.Close()
	state, position := NewState(), follower.Position()
	take := func(s *Snapshot) (bool, error) {
		if s.Version.Incarnation != version.Incarnation || s.Version.Sequence > version.Sequence {
			return false, nil
		}
		if s.Previous.IsZero() {
			state = NewState()
		}
		return true, state.Apply(s)
	}
	if follower.full != nil {
		if _, err := take(follower.full); err != nil {
			return nil, err
		}
	}
	for more := true; more && position.Sequence < info.Last; {
		messages, err := follower.reader.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("read SNAPSHOTS: %w", err)
		}
		for _, m := range messages {
			s, err := follower.parts.Add(m)
			if err == nil && s != nil {
				more, err = take(s)
			}
			if err != nil {
				return nil, fmt.Errorf("read SNAPSHOTS: %w", err)
			}
			if !more {
				break
			}
			if !follower.parts.Partial() {
				position.Sequence = m.Sequence
			}
		}
	}
	if state.Version.IsZero() {
		return nil, nil
	}
	return &Checkpoint{Format: FormatVersion, Position: position, Full: state.Full()}, nil
}

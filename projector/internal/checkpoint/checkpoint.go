// Package checkpoint stores the state of the fold and whole versions of the
// routing, so that a start does not read a log from its beginning, which
// retention removes.
//
//	newest checkpoint + the events after it ──fold──► state ──► next checkpoint
//
// A checkpoint is made beside the running projector, from the log alone: the
// projector does not pause for it, and a checkpoint never holds what the log
// does not. One that cannot be stored is tried again a little later.
//
// Read taker.go for when, checkpoint.go for what.
package checkpoint

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// Bucket is the object store of the checkpoints of the fold; a name there is
// <incarnation of EVENTS>/<sequence>, zero-padded.
const Bucket = "rutter-folds"

// Load is the newest state that was stored at or before sequence, or the empty
// one. Where the stream no longer reaches back to it, it is a partial one that
// begins with the stream. keep is what it keeps of each object.
func Load(ctx context.Context, bucket events.Bucket, info events.StreamInfo, sequence uint64, keep fold.Content) (*fold.State, error) {
	names, err := bucket.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of the fold: %w", err)
	}
	for i := len(names) - 1; i >= 0; i-- {
		incarnation, number, _ := strings.Cut(names[i], "/")
		at, err := strconv.ParseUint(number, 10, 64)
		if incarnation != info.Incarnation || err != nil || at > sequence {
			continue
		}
		if at+1 < info.First {
			break
		}
		return get(ctx, bucket, names[i], keep)
	}
	state := fold.NewState(info.Incarnation)
	if info.First > 1 {
		state = fold.After(info.Incarnation, info.First-1)
	}
	state.Keep(keep)
	return state, nil
}

// Covered is the sequence of EVENTS up to which a state is stored; 0 where none is.
func Covered(ctx context.Context, bucket events.Bucket, info events.StreamInfo) (uint64, error) {
	names, err := bucket.List(ctx)
	if err != nil {
		return 0, fmt.Errorf("list checkpoints of the fold: %w", err)
	}
	for _, name := range slices.Backward(names) {
		incarnation, number, _ := strings.Cut(name, "/")
		if at, err := strconv.ParseUint(number, 10, 64); incarnation == info.Incarnation && err == nil {
			return at, nil
		}
	}
	return 0, nil
}

// LoadFirst is the state from which all of the stream can be folded: the empty
// one, or the oldest that was stored where retention has removed the beginning.
func LoadFirst(ctx context.Context, bucket events.Bucket, info events.StreamInfo) (*fold.State, error) {
	if info.First <= 1 {
		return fold.NewState(info.Incarnation), nil
	}
	names, err := bucket.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of the fold: %w", err)
	}
	for _, name := range names {
		incarnation, number, _ := strings.Cut(name, "/")
		if at, err := strconv.ParseUint(number, 10, 64); incarnation == info.Incarnation && err == nil && at+1 >= info.First {
			return get(ctx, bucket, name, fold.Everything)
		}
	}
	return nil, fmt.Errorf("fold EVENTS: %w: it begins at %d, and no checkpoint reaches there", events.ErrGap, info.First)
}

func get(ctx context.Context, bucket events.Bucket, name string, keep fold.Content) (*fold.State, error) {
	state := fold.NewState("")
	state.Keep(keep)
	data, err := bucket.Get(ctx, name)
	if err == nil {
		encoding, body, _ := bytes.Cut(data, []byte("\n"))
		err = routing.UnmarshalStream(body, string(encoding), state.Read)
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s of the fold: %w", name, err)
	}
	return state, nil
}

// Name is under which name the state at a version is stored; names sort by sequence.
func Name(v events.Version) string { return fmt.Sprintf("%s/%020d", v.Incarnation, v.Sequence) }

// Put stores a state.
func Put(ctx context.Context, bucket events.Bucket, s *fold.State) error {
	name := Name(s.Version)
	data, encoding, err := routing.MarshalStream(s.Write)
	if err == nil {
		err = bucket.Put(ctx, name, append([]byte(encoding+"\n"), data...))
	}
	if err != nil {
		return fmt.Errorf("store checkpoint %s of the fold: %w", name, err)
	}
	return nil
}

// FoldTo applies the events up to sequence to a state.
func FoldTo(ctx context.Context, stream events.Stream, state *fold.State, sequence uint64) error {
	reader := stream.Reader(state.Version.Sequence + 1)
	defer reader.Close()
	for state.Version.Sequence < sequence {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read EVENTS: %w", err)
		}
		for _, m := range messages {
			if m.Sequence > sequence {
				break
			}
			e, err := events.Decode(m)
			if err != nil {
				return err
			}
			if _, err := state.Apply(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// Mark is what a checkpoint says about the log.
type Mark struct {
	Sequence uint64
	Time     time.Time
	// Chain is the hash over all events up to Sequence.
	Chain routing.Digest
}

// Marks are those of all checkpoints of the incarnation within the stream, in order.
func Marks(ctx context.Context, bucket events.Bucket, info events.StreamInfo) ([]Mark, error) {
	names, err := bucket.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of the fold: %w", err)
	}
	var out []Mark
	for _, name := range names {
		incarnation, number, _ := strings.Cut(name, "/")
		at, err := strconv.ParseUint(number, 10, 64)
		if incarnation != info.Incarnation || err != nil || at > info.Last {
			continue
		}
		data, err := bucket.Get(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read checkpoint %s of the fold: %w", name, err)
		}
		encoding, body, _ := bytes.Cut(data, []byte("\n"))
		m := Mark{Sequence: at}
		if m.Time, m.Chain, err = fold.ReadMark(body, string(encoding)); err != nil {
			return nil, fmt.Errorf("read checkpoint %s of the fold: %w", name, err)
		}
		out = append(out, m)
	}
	return out, nil
}

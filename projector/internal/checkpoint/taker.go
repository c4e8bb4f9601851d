package checkpoint

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// Config says of what checkpoints are taken, and how often.
type Config struct {
	Events, Snapshots events.Stream
	Folds, Versions   events.Bucket
	// Every is after how many events one is due. It is taken Soon after that: what the
	// events came to is being served just then, and that goes first. Where fewer are
	// folded, one is taken Soon after the start and every Interval, and at the end:
	// events that no checkpoint holds are lost to the projector when retention
	// removes them.
	Every          uint64
	Soon, Interval time.Duration
	Logger         *slog.Logger
}

// goodbye bounds the checkpoint that is taken at the end.
const goodbye = 10 * time.Second

// Taker takes checkpoints in the background.
type Taker struct {
	config  Config
	reached atomic.Uint64
	due     chan struct{}
	done    chan struct{}
	// taken is where the last checkpoint is, noticed the last one asked for.
	taken, noticed uint64
}

// Start begins taking checkpoints; the last one was at sequence last. After ctx
// has ended one more is taken, see [Taker.Wait].
func Start(ctx context.Context, c Config, last uint64) *Taker {
	t := &Taker{config: c, due: make(chan struct{}, 1), done: make(chan struct{}), taken: last, noticed: last}
	t.reached.Store(last)
	go func() {
		defer close(t.done)
		t.run(ctx)
	}()
	return t
}

// Reached says up to where the log is folded and published. It never blocks, and
// is called from one goroutine.
func (t *Taker) Reached(sequence uint64) {
	t.reached.Store(sequence)
	if sequence < t.noticed+t.config.Every {
		return
	}
	select {
	case t.due <- struct{}{}:
		t.noticed = sequence
	default: // one is being taken; the next occasion is the one after it
	}
}

// Wait waits for the end after the context of Start has ended.
func (t *Taker) Wait() { <-t.done }

func (t *Taker) run(ctx context.Context) {
	timer := time.NewTimer(t.config.Soon)
	defer timer.Stop()
	for hurry := false; ; {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
			defer cancel()
			t.take(last)
			return
		case <-t.due:
			if !hurry {
				hurry = true
				timer.Reset(t.config.Soon)
			}
			continue
		case <-timer.C:
			hurry = false
		}
		if t.take(ctx) {
			timer.Reset(t.config.Interval)
		} else {
			timer.Reset(t.config.Soon)
		}
	}
}

// take takes a checkpoint if there is anything new, and tells whether it is there.
func (t *Taker) take(ctx context.Context) bool {
	sequence := t.reached.Load()
	if sequence <= t.taken {
		return true
	}
	if err := take(ctx, t.config, sequence); err != nil {
		if ctx.Err() == nil {
			t.config.Logger.Warn("checkpoint was not taken", "version", sequence, "error", err)
		}
		return false
	}
	t.taken = sequence
	return true
}

func take(ctx context.Context, c Config, sequence uint64) error {
	info, err := c.Events.Info(ctx)
	if err != nil {
		return err
	}
	state, err := Load(ctx, c.Folds, info, sequence, fold.Bytes)
	if err != nil {
		return err
	}
	if err := FoldTo(ctx, c.Events, state, sequence); err != nil {
		return err
	}
	if state.Partial() {
		return nil // who starts from it would miss as much as we do
	}
	if err := Put(ctx, c.Folds, state); err != nil {
		return err
	}
	if err := takeVersion(ctx, c); err != nil {
		return err
	}
	return prune(ctx, c.Folds, info)
}

// takeVersion stores the newest whole version.
func takeVersion(ctx context.Context, c Config) error {
	follower, err := routing.Follow(ctx, c.Snapshots, c.Versions)
	if err != nil {
		return err
	}
	defer follower.Close()
	state, err := follower.Load(ctx)
	if err != nil || state.Version.IsZero() {
		return err
	}
	if err := routing.PutCheckpoint(ctx, c.Versions, follower.Position(), state.Full()); err != nil {
		return err
	}
	info, err := c.Snapshots.Info(ctx)
	if err != nil {
		return err
	}
	return prune(ctx, c.Versions, info)
}

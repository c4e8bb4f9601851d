package standalone

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// feed reads SNAPSHOTS once for all parts of this process. They share what they
// are handed, which nobody changes: a whole version of 10,000 routes takes 100 MB
// while it is decoded.
//
//	SNAPSHOTS ──► feed ──► subscription ──► xds-server, status-writer, screen, envoys
//
// No part waits for another: one that lags reads on by itself.
type feed struct {
	stream        events.Stream
	bucket        events.Bucket
	subscriptions []*subscription
}

// subscription is one part's view of the versions, like a [routing.Follower].
type subscription struct {
	stream events.Stream
	queue  chan handed
	// reached is where in SNAPSHOTS the part has read to, own what it reads with
	// once it has lagged.
	reached events.Version
	own     *routing.Follower

	used   atomic.Bool // of a part that begins anew after errors: the first time
	once   sync.Once
	closed chan struct{}
	lagged bool // is the feed's
}

// handed is some versions, and where they end in SNAPSHOTS. The one without any
// stands where SNAPSHOTS ended when the feed began.
type handed struct {
	versions []*routing.Snapshot
	reached  events.Version
}

// lag is how many batches a part may be behind.
const lag = 64

// subscribe is for before run.
func (f *feed) subscribe() *subscription {
	s := &subscription{stream: f.stream, queue: make(chan handed, lag), closed: make(chan struct{})}
	f.subscriptions = append(f.subscriptions, s)
	return s
}

// run reads until ctx ends.
func (f *feed) run(ctx context.Context) error {
	follower, err := routing.Follow(ctx, f.stream, f.bucket)
	if err != nil {
		return err
	}
	defer follower.Close()
	info, err := f.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("open SNAPSHOTS: %w", err)
	}
	for more := true; more; {
		versions, err := follower.NextUntil(ctx, info.Last)
		if err != nil {
			return err
		}
		more = len(versions) > 0
		for _, s := range f.subscriptions {
			if err := s.wait(ctx, handed{versions, follower.Position()}); err != nil {
				return err
			}
		}
	}
	for {
		versions, err := follower.Next(ctx)
		if err != nil {
			return err
		}
		for _, s := range f.subscriptions {
			s.hand(handed{versions, follower.Position()})
		}
	}
}

// wait hands on what was there at first, when all parts are starting.
func (s *subscription) wait(ctx context.Context, h handed) error {
	select {
	case s.queue <- h:
	case <-s.closed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// hand hands on what is new, and gives up on a part that lags.
func (s *subscription) hand(h handed) {
	select {
	case <-s.closed:
		return
	default:
	}
	if s.lagged {
		return
	}
	select {
	case s.queue <- h:
	default:
		s.lagged = true
		close(s.queue)
	}
}

// Load is the newest version that there was when the feed began.
func (s *subscription) Load(ctx context.Context) (*routing.State, error) {
	state := routing.NewState()
	for {
		h, err := s.receive(ctx)
		if err != nil || len(h.versions) == 0 {
			return state, err
		}
		for _, v := range h.versions {
			if v.Previous.IsZero() {
				state = routing.NewState()
			}
			if err := state.Apply(v); err != nil {
				return nil, err
			}
		}
	}
}

// Next waits for at least one version.
func (s *subscription) Next(ctx context.Context) ([]*routing.Snapshot, error) {
	for {
		h, err := s.receive(ctx)
		if err != nil || len(h.versions) > 0 {
			return h.versions, err
		}
	}
}

func (s *subscription) receive(ctx context.Context) (handed, error) {
	if s.own == nil {
		select {
		case h, ok := <-s.queue:
			if ok {
				s.reached = h.reached
				return h, nil
			}
			s.own = routing.FollowFrom(s.stream, s.reached)
		case <-ctx.Done():
			return handed{}, ctx.Err()
		}
	}
	versions, err := s.own.Next(ctx)
	return handed{versions: versions}, err
}

// Position is where in SNAPSHOTS the part has read to.
func (s *subscription) Position() events.Version {
	if s.own != nil {
		return s.own.Position()
	}
	return s.reached
}

// Close ends the use of it.
func (s *subscription) Close() {
	s.once.Do(func() { close(s.closed) })
	if s.own != nil {
		s.own.Close()
	}
}

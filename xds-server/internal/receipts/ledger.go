// Package receipts reports what the Envoys of this server hold.
//
//	streams ──Set, Remove──► Ledger ──Run─────► one message of RECEIPTS per picture
//	                           └─────Repeat──► the last of them, to whoever listens now
//
// Each message is the whole picture, so only the newest counts and none is ever
// recorded twice. What was recorded last is repeated every second in messages that
// no stream stores: so whoever starts to listen knows soon what is, and a server
// that crashed is known by its silence. The package promises: a change goes out at once when nothing went out
// lately, and otherwise within [Interval]; exceptions (an Envoy came, went, or
// refused something) do not wait for it; a log that cannot be written is tried
// again with the picture of that moment, and nobody who reports is ever held up.
package receipts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

const (
	// Interval is the least time between two ordinary reports.
	Interval = 200 * time.Millisecond
	// exceptionInterval is that before the report of an exception, so that a
	// hundred at a time become one message.
	exceptionInterval = 10 * time.Millisecond
	// publishTimeout ends an append that hangs; retryAfter is the pause after one that failed.
	publishTimeout = 5 * time.Second
	retryAfter     = time.Second
)

// Publisher appends to RECEIPTS.
type Publisher interface {
	Publish(ctx context.Context, messages ...events.Message) (last uint64, err error)
}

// Announcer says something to whoever listens. [events.Log] does.
type Announcer interface {
	Announce(ctx context.Context, m events.Message) error
}

// Config says in whose name is reported. All but Observer is required.
type Config struct {
	Server, Cluster string
	Logger          *slog.Logger
	// Observer is told of each change in this process, at once. It must not block.
	Observer func(routing.EnvoyReceipt)
}

// Ledger is safe for concurrent use.
type Ledger struct {
	Config

	mu        sync.Mutex
	streams   map[uint64]routing.EnvoyReceipt
	changed   bool
	exception bool
	// recorded is the last picture in RECEIPTS, at sequence; nil before the first.
	recorded *routing.Receipt
	sequence uint64
	// wake holds a token when changed or exception was set.
	wake chan struct{}
}

// New checks c. The first report of a new ledger is due at once: it overrides
// what a server of the same name said before.
func New(c Config) (*Ledger, error) {
	if c.Server == "" || c.Cluster == "" || c.Logger == nil {
		return nil, errors.New("receipts: server, cluster and logger are required")
	}
	l := &Ledger{Config: c, streams: map[uint64]routing.EnvoyReceipt{}, wake: make(chan struct{}, 1)}
	l.mark(true)
	return l, nil
}

// Set replaces what is known of a stream.
func (l *Ledger) Set(stream uint64, receipt routing.EnvoyReceipt, exception bool) {
	l.mu.Lock()
	l.streams[stream] = receipt
	l.mu.Unlock()
	l.mark(exception)
	if l.Observer != nil {
		l.Observer(receipt)
	}
}

// Remove forgets a stream that has ended.
func (l *Ledger) Remove(stream uint64) {
	l.mu.Lock()
	delete(l.streams, stream)
	l.mu.Unlock()
	l.mark(true)
}

func (l *Ledger) mark(exception bool) {
	l.mu.Lock()
	l.changed = true
	l.exception = l.exception || exception
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run reports until ctx ends.
func (l *Ledger) Run(ctx context.Context, to Publisher) {
	var last time.Time
	for l.wait(ctx, last) {
		last = time.Now()
		err := l.Publish(ctx, to)
		if err == nil || ctx.Err() != nil {
			continue
		}
		l.Logger.Warn("receipts cannot be recorded; serving goes on", slog.String("stream", events.StreamReceipts), slog.Any("error", err))
		l.mark(false)
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

// wait returns when a report is due; false when ctx has ended.
func (l *Ledger) wait(ctx context.Context, last time.Time) bool {
	for {
		var due <-chan time.Time
		if changed, exception := l.state(); exception {
			due = time.After(time.Until(last.Add(exceptionInterval)))
		} else if changed {
			due = time.After(time.Until(last.Add(Interval)))
		}
		select {
		case <-ctx.Done():
			return false
		case <-due:
			return true
		case <-l.wake:
		}
	}
}

func (l *Ledger) state() (changed, exception bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed, l.exception
}

// Publish reports the present picture.
func (l *Ledger) Publish(ctx context.Context, to Publisher) error {
	picture := l.picture()
	message, err := routing.EncodeReceipt(l.Cluster, picture)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	sequence, err := to.Publish(ctx, message)
	if err != nil {
		return fmt.Errorf("publish receipt of %s: %w", l.Server, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recorded, l.sequence = picture, sequence
	return nil
}

// Repeat says the last recorded picture every so often until ctx ends, beginning
// with the first one. What cannot be said is no loss: the silence says more.
func (l *Ledger) Repeat(ctx context.Context, to Announcer) {
	ticker := time.NewTicker(events.HeartbeatEvery)
	defer ticker.Stop()
	for {
		l.mu.Lock()
		recorded, sequence := l.recorded, l.sequence
		l.mu.Unlock()
		if recorded != nil {
			if m, err := routing.EncodeHeartbeat(l.Cluster, recorded, sequence); err != nil {
				l.Logger.Error("receipt cannot be repeated", slog.Any("error", err))
			} else {
				_ = to.Announce(ctx, m)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// picture is everything that is known, and from here on counts as reported. Of
// two streams of one Envoy the later one counts: the other is a connection that
// broke and was not noticed yet.
func (l *Ledger) picture() *routing.Receipt {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed, l.exception = false, false
	type envoy struct{ node, gateway string }
	latest := map[envoy]uint64{}
	for _, stream := range slices.Sorted(maps.Keys(l.streams)) {
		r := l.streams[stream]
		latest[envoy{r.Node, r.Gateway}] = stream
	}
	out := &routing.Receipt{Server: l.Server, Time: time.Now().UTC(), Envoys: []routing.EnvoyReceipt{}}
	for _, stream := range latest {
		out.Envoys = append(out.Envoys, l.streams[stream])
	}
	slices.SortFunc(out.Envoys, func(a, b routing.EnvoyReceipt) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Gateway, b.Gateway))
	})
	return out
}

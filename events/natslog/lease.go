package natslog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/rutter-gateway/rutter/events"
)

// released is the last word of a holder that gives up its lease.
const released = "released"

// Acquire implements [events.Stream].
func (s *stream) Acquire(ctx context.Context, c events.LeaseConfig) (events.Writer, error) {
	c, err := c.WithDefaults(s.name)
	if err != nil {
		return nil, fmt.Errorf("acquire %s: %w", s.name, err)
	}
	subject := events.HeartbeatSubject(s.name, c.Cluster)
	heard := make(chan *nats.Msg, 64)
	sub, err := s.log.conn.ChanSubscribe(subject, heard)
	if err != nil {
		return nil, fmt.Errorf("acquire %s: listen for the holder: %w", s.name, translate(err))
	}
	w, err := s.contend(ctx, c, heard)
	if err != nil {
		_ = sub.Unsubscribe() // the error that counts is err
		return nil, fmt.Errorf("acquire %s: %w", s.name, err)
	}
	w.beats = heartbeats{conn: s.log.conn, subject: subject, sub: sub, stopped: make(chan struct{})}
	w.beats.running.Go(func() { w.beats.run(c.Heartbeat, heard, w) })
	return w, nil
}

// contend waits for the holder to fall silent and opens the next epoch.
func (s *stream) contend(ctx context.Context, c events.LeaseConfig, heard <-chan *nats.Msg) (*writer, error) {
	waited := uint64(0) // the epoch whose holder is known to be silent
	for {
		guard, held, err := s.guard(ctx, c.Cluster)
		if err != nil {
			return nil, err
		}
		info, err := s.js.Info(ctx)
		if err != nil {
			return nil, translate(err)
		}
		fresh := info.State.LastSeq == 0
		if !fresh && !c.Sole && waited < max(1, held) {
			if waited, err = silence(ctx, c.Dead, max(1, held), heard); err != nil {
				return nil, err
			}
			continue // the guard may be another one by now
		}
		epoch := held + 1
		if guard == 0 {
			// A server that restarts ages out even permanent messages. Each epoch left
			// a message, so this is beyond every earlier one.
			epoch = info.State.LastSeq + 1
		}
		last, err := s.openEpoch(ctx, c.Open(epoch), guard)
		if err != nil {
			return nil, err
		}
		if last > 0 {
			w := &writer{stream: s, epoch: epoch, turn: make(chan uint64, 1), lost: make(chan struct{})}
			w.turn <- last
			return w, nil
		}
	}
}

// guard is the sequence of the guard and the epoch that it opened; 0 and 0 when
// there is none.
func (s *stream) guard(ctx context.Context, cluster string) (sequence, epoch uint64, err error) {
	m, err := s.Last(ctx, events.GuardSubject(s.name, cluster))
	if errors.Is(err, events.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	opened, err := events.Decode(m)
	if err != nil {
		return 0, 0, fmt.Errorf("read guard: %w", err)
	}
	return m.Sequence, opened.Epoch, nil
}

// silence returns when the holder of epoch, or of the latest one heard, has said
// nothing for so long, or that it gives up: with that epoch.
func silence(ctx context.Context, dead time.Duration, epoch uint64, heard <-chan *nats.Msg) (uint64, error) {
	timer := time.NewTimer(dead)
	defer timer.Stop()
	for {
		select {
		case m := <-heard:
			of, gone := parseBeat(m)
			if of < epoch { // a holder that does not know yet that it is none
				continue
			}
			epoch = of
			if gone {
				return epoch, nil
			}
			timer.Reset(dead)
		case <-timer.C:
			return epoch, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// openEpoch replaces the guard at sequence, and returns where the new one is: 0
// when somebody else was faster. The id of its own lets a repetition be
// recognised, by the server and by us.
func (s *stream) openEpoch(ctx context.Context, guard events.Message, sequence uint64) (uint64, error) {
	if err := s.log.room(size(guard)); err != nil {
		return 0, err
	}
	id := nuid.Next()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		try, cancel := context.WithTimeout(ctx, s.log.patience)
		ack, err := s.log.js.PublishMsg(try, encode(guard, id), jetstream.WithExpectLastSequencePerSubject(sequence))
		cancel()
		if err == nil {
			return ack.Sequence, nil
		}
		if lasting := refusal(err); lasting != nil {
			return 0, lasting
		}
		raw, err := s.js.GetLastMsgForSubject(ctx, guard.Subject)
		switch {
		case err == nil && raw.Header.Get(jetstream.MsgIDHeader) == id:
			return raw.Sequence, nil
		case err == nil && raw.Sequence != sequence:
			return 0, nil
		}
		if !pause(ctx, wait) {
			return 0, ctx.Err()
		}
	}
}

// heartbeats say that the holder of a lease lives, and listen for a later one.
type heartbeats struct {
	conn     *nats.Conn
	subject  string
	sub      *nats.Subscription
	stopped  chan struct{}
	stopOnce sync.Once
	running  sync.WaitGroup
}

func (h *heartbeats) run(every time.Duration, heard <-chan *nats.Msg, w *writer) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	h.say(w.epoch, "")
	for {
		select {
		case <-ticker.C:
			h.say(w.epoch, "")
			continue
		case m := <-heard:
			if epoch, _ := parseBeat(m); epoch > w.epoch {
				w.lose()
			}
			continue
		case <-w.lost:
			<-h.stopped // an append may be under way until then
		case <-h.stopped:
		}
		h.say(w.epoch, released)
		return
	}
}

// say sends a heartbeat. One that cannot be sent is no loss: the silence says more.
func (h *heartbeats) say(epoch uint64, word string) {
	_ = h.conn.Publish(h.subject, fmt.Appendf(nil, "%d %s", epoch, word))
}

// stop waits for run to end.
func (h *heartbeats) stop() {
	h.stopOnce.Do(func() { close(h.stopped) })
	h.running.Wait()
	_ = h.sub.Unsubscribe() // the connection may be closed
}

func parseBeat(m *nats.Msg) (epoch uint64, gone bool) {
	number, word, _ := strings.Cut(string(m.Data), " ")
	epoch, _ = strconv.ParseUint(number, 10, 64) // what is no heartbeat counts as epoch 0
	return epoch, word == released
}

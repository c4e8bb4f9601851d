package memlog_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/logtest"
	"github.com/rutter-gateway/rutter/events/memlog"
)

func TestMemoryLogKeepsTheContract(t *testing.T) {
	logtest.Run(t, func(t *testing.T) events.Log {
		l := memlog.New(memlog.Config{})
		t.Cleanup(l.Close)
		return l
	})
}

// A standby takes over 300 ms after the last heartbeat, in the time of a bubble.
func TestMemoryLogRunsInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memlog.New(memlog.Config{})
		defer l.Close()
		s, err := l.Stream(t.Context(), events.StreamConfig{Name: events.StreamEvents, Subjects: []string{"rutter.events.>"}, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		paused, err := s.Acquire(t.Context(), lease(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		next, err := s.Acquire(t.Context(), lease(0))
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != 300*time.Millisecond {
			t.Errorf("the standby waited %v", waited)
		}
		if _, err := paused.Append(t.Context(), events.Message{Subject: "rutter.events.x"}); !errors.Is(err, events.ErrFenced) {
			t.Errorf("append of the paused holder: %v", err)
		}
		if _, err := next.Append(t.Context(), events.Message{Subject: "rutter.events.x"}); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour) // of the bubble: the holder still holds
		if _, err := next.Append(t.Context(), events.Message{Subject: "rutter.events.x"}); err != nil {
			t.Error(err)
		}
		if info, err := s.Info(t.Context()); err != nil || info.First != 4 || info.Last != 4 {
			t.Errorf("stream is %+v: %v", info, err)
		}
		for _, w := range []events.Writer{paused, next} {
			if err := w.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func lease(heartbeat time.Duration) events.LeaseConfig {
	return events.LeaseConfig{
		Cluster: "c", Holder: "h", Heartbeat: heartbeat,
		Open: func(epoch uint64) events.Message {
			return events.Encode(events.Event{ID: "epoch", Type: events.TypeEpoch, Cluster: "c", Key: events.EpochKey(events.StreamEvents), Epoch: epoch})
		},
	}
}

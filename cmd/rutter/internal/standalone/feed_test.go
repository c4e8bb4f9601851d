package standalone

import (
	"context"
	"errors"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
)

// newFeed is a feed of a log in memory, and what publishes versions to it.
func newFeed(t *testing.T) (f *feed, publish func(from, to uint64)) {
	t.Helper()
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	stream, err := log.Stream(t.Context(), events.StreamConfig{Name: events.StreamSnapshots, Subjects: []string{"rutter.>"}})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := log.Bucket(t.Context(), routing.CheckpointBucket)
	if err != nil {
		t.Fatal(err)
	}
	return &feed{stream: stream, bucket: bucket}, func(from, to uint64) {
		t.Helper()
		for sequence := from; sequence <= to; sequence++ {
			v := &routing.Snapshot{Version: events.Version{Incarnation: "I", Sequence: sequence}}
			if sequence > 1 {
				v.Previous = events.Version{Incarnation: "I", Sequence: sequence - 1}
			}
			messages, err := routing.EncodeSnapshot("c", v, 50) // in several parts
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages { // one by one, so that a version is seen in halves
				if _, err := stream.Publish(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func start(t *testing.T, f *feed) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// expect reads versions up to one, and fails where any is missing.
func expect(t *testing.T, s *subscription, from, to uint64) {
	t.Helper()
	for next := from; next <= to; {
		versions, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			if v.Version.Sequence != next {
				t.Fatalf("version %s comes, want %d", v.Version, next)
			}
			next++
		}
	}
}

func TestAPartThatLagsMissesNothingAndDelaysNobody(t *testing.T) {
	f, publish := newFeed(t)
	quick, slow, gone := f.subscribe(), f.subscribe(), f.subscribe()
	gone.Close()
	start(t, f)
	const last = 3 * lag
	for n := uint64(1); n <= last; n++ {
		publish(n, n)
		expect(t, quick, n, n)
	}
	expect(t, slow, 1, last)
	publish(last+1, last+1)
	expect(t, slow, last+1, last+1)
	expect(t, quick, last+1, last+1)
	if slow.own == nil || quick.own != nil {
		t.Error("the part that lags is not the one that reads by itself")
	}
	slow.Close()
}

func TestAPartBeginsWithAllThereIs(t *testing.T) {
	f, publish := newFeed(t)
	publish(1, 3)
	if _, err := f.stream.Publish(t.Context(), events.Message{Subject: "rutter.other"}); err != nil { // a guard ends SNAPSHOTS
		t.Fatal(err)
	}
	whole, each := f.subscribe(), f.subscribe()
	start(t, f)
	state, err := whole.Load(t.Context())
	if err != nil || state.Version.Sequence != 3 {
		t.Fatalf("loaded %v, %v, want version 3", state, err)
	}
	expect(t, each, 1, 3)
	publish(4, 4)
	expect(t, whole, 4, 4)
	expect(t, each, 4, 4)
}

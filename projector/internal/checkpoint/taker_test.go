package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

const (
	testSoon     = time.Minute
	testInterval = 6 * time.Hour
)

// rig is a log of events with a taker beside it. Use it in a bubble.
type rig struct {
	t      *testing.T
	config Config
	taker  *Taker
	stop   func()
	last   uint64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	r := &rig{t: t, config: Config{Every: 10, Soon: testSoon, Interval: testInterval, Logger: slog.New(slog.DiscardHandler)}}
	var err error
	for name, stream := range map[string]*events.Stream{events.StreamEvents: &r.config.Events, events.StreamSnapshots: &r.config.Snapshots} {
		*stream, err = log.Stream(t.Context(), events.StreamConfig{Name: name, Subjects: []string{"rutter." + name + ".>", "rutter.events.>"}})
		must(t, err)
	}
	r.config.Folds, err = log.Bucket(t.Context(), Bucket)
	must(t, err)
	r.config.Versions, err = log.Bucket(t.Context(), routing.CheckpointBucket)
	must(t, err)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) start(last uint64) {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.taker = Start(ctx, r.config, last)
	r.stop = func() {
		cancel()
		r.taker.Wait()
	}
}

// reach records n events and says that they are published.
func (r *rig) reach(n int) {
	r.t.Helper()
	for range n {
		r.last++
		name := fmt.Sprint("n", r.last)
		_, err := r.config.Events.Publish(r.t.Context(), events.Encode(events.Event{
			ID: name, Type: events.ObjectApplied, Cluster: "c", Key: events.Key{Resource: events.Namespaces, Name: name},
			Time: time.Now(), Data: fmt.Appendf(nil, `{"metadata":{"name":%q}}`, name),
		}))
		must(r.t, err)
	}
	r.taker.Reached(r.last)
	synctest.Wait()
}

// taken are the sequences of the checkpoints.
func (r *rig) taken() []uint64 {
	r.t.Helper()
	names, err := r.config.Folds.List(r.t.Context())
	must(r.t, err)
	var out []uint64
	for _, name := range names {
		state, err := get(r.t.Context(), r.config.Folds, name, fold.Everything)
		must(r.t, err)
		if state.Count(events.Namespaces) != int(state.Version.Sequence) {
			r.t.Errorf("the checkpoint at %d has %d objects", state.Version.Sequence, state.Count(events.Namespaces))
		}
		out = append(out, state.Version.Sequence)
	}
	return out
}

func (r *rig) want(sequences ...uint64) {
	r.t.Helper()
	synctest.Wait()
	if got := r.taken(); !slices.Equal(got, sequences) {
		r.t.Errorf("there are checkpoints at %v, want %v", got, sequences)
	}
}

func TestCheckpointsAreTakenByNumberByTimeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(0)
		r.reach(3)
		r.want()
		time.Sleep(testSoon) // the tail that a start finds
		r.want(3)
		r.reach(4)
		time.Sleep(testInterval - time.Second)
		r.want(3)
		time.Sleep(time.Second)
		r.want(3, 7)
		time.Sleep(3 * testInterval) // nothing new
		r.want(3, 7)
		r.reach(10)
		r.want(3, 7)
		time.Sleep(testSoon)
		r.want(3, 7, 17)
		r.reach(10)
		time.Sleep(testSoon - time.Second)
		r.reach(10) // more does not put it off
		time.Sleep(time.Second)
		r.want(3, 7, 17, 37)
		r.reach(1)
		r.stop()
		r.want(3, 7, 17, 37, 38)
		r.start(38)
		r.stop()
		r.want(3, 7, 17, 37, 38)
	})
}

// failing is a store that is out of order at first.
type failing struct {
	events.Bucket
	works atomic.Bool
}

func (f *failing) Put(ctx context.Context, name string, data []byte) error {
	if !f.works.Load() {
		return errors.New("out of order")
	}
	return f.Bucket.Put(ctx, name, data)
}

func TestACheckpointThatCannotBeStoredIsTakenALittleLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		store := &failing{Bucket: r.config.Folds}
		r.config.Folds = store
		r.start(0)
		r.reach(3)
		time.Sleep(testSoon)
		r.want()
		store.works.Store(true)
		time.Sleep(testSoon)
		r.want(3)
		r.stop()
	})
}

func TestManyRestartsDoNotCostTheOldCheckpoints(t *testing.T) {
	var names []string
	info := events.StreamInfo{Incarnation: "I", First: 40, Last: 100_000}
	add := func(sequence int) { names = append(names, fmt.Sprintf("I/%020d", sequence)) }
	names = append(names, "H/00000000000000000099") // of a stream that is no more
	for _, sequence := range []int{10, 38, 39, 50} {
		add(sequence)
	}
	for i := range 50 {
		add(1000 * (i + 1))
	}
	for i := range 80 {
		add(60_000 + i)
	}
	gone := superfluous(names, info)
	left := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(gone, n) })
	if len(left) != keep {
		t.Errorf("%d checkpoints are left, want %d", len(left), keep)
	}
	for _, want := range []string{"I/00000000000000000039", "I/00000000000000060079", "I/00000000000000007000", "I/00000000000000050000"} {
		if !slices.Contains(left, want) {
			t.Errorf("%s is gone", want)
		}
	}
	for _, unwanted := range []string{"H/00000000000000000099", "I/00000000000000000010", "I/00000000000000000038"} {
		if slices.Contains(left, unwanted) {
			t.Errorf("%s is kept", unwanted)
		}
	}
	if gone := superfluous([]string{"I/00000000000000000010"}, info); len(gone) > 0 {
		t.Errorf("the only checkpoint is removed: %v", gone)
	}
}

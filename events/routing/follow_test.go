package routing_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
)

// published is a stream of versions that stay for an hour, with checkpoints.
type published struct {
	t *testing.T
	*publisher
	stream   events.Stream
	bucket   events.Bucket
	state    *routing.State
	position events.Version
}

func newPublished(t *testing.T) *published {
	t.Helper()
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	p := &published{t: t, publisher: newPublisher(3), state: routing.NewState()}
	var err error
	p.stream, err = log.Stream(t.Context(), events.StreamConfig{Name: "SNAPSHOTS", Subjects: []string{"rutter.>"}, MaxAge: time.Hour})
	must(t, err)
	p.bucket, err = log.Bucket(t.Context(), routing.CheckpointBucket)
	must(t, err)
	info, err := p.stream.Info(t.Context())
	must(t, err)
	p.position.Incarnation = info.Incarnation
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// publish appends n versions, in chunks.
func (p *published) publish(n int) {
	p.t.Helper()
	for range n {
		s := p.next()
		must(p.t, p.state.Apply(s))
		last, err := p.stream.Publish(p.t.Context(), encode(p.t, s, 300)...)
		must(p.t, err)
		p.position.Sequence = last
	}
}

func (p *published) checkpoint() {
	p.t.Helper()
	must(p.t, routing.PutCheckpoint(p.t.Context(), p.bucket, p.position, p.state.Full()))
}

// want checks that a follower comes to the present state.
func (p *published) want(f *routing.Follower, err error) {
	p.t.Helper()
	must(p.t, err)
	defer f.Close()
	got, err := f.Load(p.t.Context())
	must(p.t, err)
	if !reflect.DeepEqual(got, p.state) {
		p.t.Errorf("the state is at %s, want %s", got.Version, p.state.Version)
	}
	if f.Position() != p.position {
		p.t.Errorf("the follower is at %v, want %v", f.Position(), p.position)
	}
}

func TestAFollowerComesToTheSameStateFromWhereverItBegins(t *testing.T) {
	p := newPublished(t)
	p.want(routing.Follow(t.Context(), p.stream, p.bucket))
	p.publish(5)
	p.want(routing.Follow(t.Context(), p.stream, p.bucket))
	p.checkpoint()
	p.want(routing.Follow(t.Context(), p.stream, p.bucket))
	p.publish(5)
	p.want(routing.Follow(t.Context(), p.stream, p.bucket))
	p.want(routing.FollowFirst(t.Context(), p.stream, p.bucket))
}

func TestAFollowerBeginsWithACheckpointWhereRetentionRemovedTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		p.publish(5)
		p.checkpoint()
		time.Sleep(2 * time.Hour)
		p.want(routing.Follow(t.Context(), p.stream, p.bucket))
		p.want(routing.FollowFirst(t.Context(), p.stream, p.bucket))
		p.publish(2)
		p.want(routing.Follow(t.Context(), p.stream, p.bucket))
	})
}

func TestThePastIsReachedFromACheckpointBeforeIt(t *testing.T) {
	p := newPublished(t)
	p.publish(4)
	p.checkpoint()
	p.publish(1)
	then := p.state.Full()
	p.publish(3)
	p.checkpoint()
	p.publish(1)
	f, err := routing.FollowAt(t.Context(), p.stream, p.bucket, then.Version)
	must(t, err)
	defer f.Close()
	got, err := f.LoadAt(t.Context(), then.Version)
	must(t, err)
	if !reflect.DeepEqual(got.Full(), then) {
		t.Errorf("the state is at %s, want %s", got.Version, then.Version)
	}
}

func TestACheckpointOfAnotherStreamIsIgnored(t *testing.T) {
	p := newPublished(t)
	p.publish(2)
	must(t, routing.PutCheckpoint(t.Context(), p.bucket, events.Version{Incarnation: "other", Sequence: 1}, large(1)))
	must(t, routing.PutCheckpoint(t.Context(), p.bucket, events.Version{Incarnation: p.position.Incarnation, Sequence: p.position.Sequence + 9}, large(1)))
	p.want(routing.Follow(t.Context(), p.stream, p.bucket))
}

func TestVersionsThatComeLaterAreHandedOutLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPublished(t)
		p.publish(1)
		f, err := routing.Follow(t.Context(), p.stream, p.bucket)
		must(t, err)
		defer f.Close()
		state := routing.NewState()
		got := make(chan error, 1)
		go func() {
			for n := 0; n < 4; {
				snapshots, err := f.Next(t.Context())
				n += len(snapshots)
				if err != nil {
					got <- err
					return
				}
				for _, s := range snapshots {
					if err := state.Apply(s); err != nil {
						got <- err
						return
					}
				}
			}
			got <- nil
		}()
		p.publish(3)
		must(t, <-got)
		if !reflect.DeepEqual(state, p.state) {
			t.Errorf("the state is at %s, want %s", state.Version, p.state.Version)
		}
	})
}

func TestWhatIsThereIsReadToItsEndAlsoWhereNoVersionEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // waiting for more would be a deadlock
		p := newPublished(t)
		opened := events.Event{ID: "epoch/1", Type: events.TypeEpoch, Cluster: "local", Key: events.EpochKey(events.StreamSnapshots), Data: []byte("{}")}
		for versions := range 3 {
			p.publish(min(versions, 1))
			if versions > 1 {
				p.checkpoint()
			}
			last, err := p.stream.Publish(t.Context(), events.Encode(opened))
			must(t, err)
			opened.ID += "1"
			f, err := routing.Follow(t.Context(), p.stream, p.bucket)
			must(t, err)
			state := routing.NewState()
			for {
				snapshots, err := f.NextUntil(t.Context(), last)
				must(t, err)
				if len(snapshots) == 0 {
					break
				}
				for _, s := range snapshots {
					must(t, state.Apply(s))
				}
			}
			if !reflect.DeepEqual(state, p.state) || f.Position().Sequence != last {
				t.Errorf("the state is at %s, want %s; read to %d, want %d", state.Version, p.state.Version, f.Position().Sequence, last)
			}
			f.Close()
		}
	})
}

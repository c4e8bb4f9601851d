package logtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// refused fails unless w can append nothing any more.
func (f *fixture) refused(s events.Stream, w events.Writer) {
	f.Helper()
	before := f.info(s).Last
	_, err := w.Append(f.ctx, messages(900, 903)...)
	f.wantError(err, events.ErrFenced)
	<-w.Lost()
	_, err = w.AppendAtomic(f.ctx, messages(900, 903)...)
	f.wantError(err, events.ErrFenced)
	if after := f.info(s).Last; after != before {
		f.Errorf("a refused append moved the stream from %d to %d", before, after)
	}
}

func freshStream(f *fixture) {
	s := f.stream(config())
	c := lease("a")
	c.Dead = time.Hour
	w := f.acquire(s, c)
	guard, err := s.Last(f.ctx, events.GuardSubject(events.StreamEvents, cluster))
	f.must(err)
	opened, err := events.Decode(guard)
	f.must(err)
	if w.Epoch() != 1 || opened.Epoch != 1 || guard.Sequence != 1 || !guard.Permanent {
		f.Errorf("epoch %d, guard %+v", w.Epoch(), guard)
	}
}

func standbyWaits(f *fixture) {
	s := f.stream(config())
	holder := f.acquire(s, lease("a"))
	waiting, cancel := context.WithTimeout(f.ctx, time.Second)
	defer cancel()
	_, err := s.Acquire(waiting, lease("b"))
	f.wantError(err, context.DeadlineExceeded)
	_, err = holder.Append(f.ctx, message(0))
	f.must(err)
}

func standbyFollows(f *fixture) {
	s := f.stream(config())
	holder := f.acquire(s, lease("a"))
	c := lease("b")
	c.Dead = time.Hour // it must not depend on that
	next := make(chan events.Writer)
	go func() {
		w, err := s.Acquire(f.ctx, c)
		if err != nil {
			f.Error(err)
		}
		next <- w
	}()
	// The standby may begin to listen only after the farewell: so it is repeated
	// by holders that come and go.
	for {
		f.must(holder.Close(f.ctx))
		select {
		case <-holder.Lost():
		default:
			f.Fatal("a closed writer is not lost")
		}
		select {
		case w := <-next:
			_, err := w.Append(f.ctx, message(0))
			f.must(err)
			f.must(w.Close(f.ctx))
			f.refused(s, holder)
			return
		case <-time.After(200 * time.Millisecond):
			holder = f.acquire(s, sole("a"))
		}
	}
}

func soleDoesNotWait(f *fixture) {
	s := f.stream(config())
	first := f.acquire(s, lease("a"))
	c := sole("a")
	c.Dead = time.Hour
	second := f.acquire(s, c)
	if second.Epoch() != first.Epoch()+1 {
		f.Errorf("epoch %d after %d", second.Epoch(), first.Epoch())
	}
	f.refused(s, first)
}

func pausedWriter(f *fixture) {
	s := f.stream(config())
	old := f.acquire(s, paused("a"))
	_, err := old.Append(f.ctx, messages(0, 10)...)
	f.must(err)
	next := f.acquire(s, lease("b"))
	f.refused(s, old)
	_, err = next.Append(f.ctx, messages(10, 20)...)
	f.must(err)
	f.refused(s, old)
	got := f.history(s)
	f.expect(got[1:11], 0)
	f.expect(got[12:], 10)
	if got[11].Subject != events.GuardSubject(events.StreamEvents, cluster) {
		f.Errorf("%s is where the guard should be", got[11].Subject)
	}
}

// takeoverWhileAppending takes a stream from a writer that does not stop, many
// times over: whatever lies after a guard is of the epoch that it opened.
func takeoverWhileAppending(f *fixture) {
	s := f.stream(config())
	var appenders sync.WaitGroup
	acknowledged := make([]uint64, 20)
	for i := range acknowledged {
		w := f.acquire(s, sole("w"))
		appenders.Go(func() {
			for n := 0; ; n += 12 {
				batch := messages(n, n+12)
				for i := range batch {
					batch[i].Header["epoch"] = string(rune('a' + w.Epoch()))
				}
				appendTo, size := w.Append, 3+n%10
				if n%24 == 0 {
					appendTo = w.AppendAtomic
				}
				last, err := appendTo(f.ctx, batch[:size]...)
				if errors.Is(err, events.ErrFenced) {
					return
				}
				if err != nil {
					f.Error(err)
					return
				}
				acknowledged[i] = last
			}
		})
		reached := f.info(s).Last + uint64(10+3*i)
		f.until("the writer appends", func() bool { return f.info(s).Last >= reached })
	}
	last := f.acquire(s, sole("end"))
	appenders.Wait()
	epoch := ""
	for _, m := range f.history(s) {
		if m.Header["epoch"] == "" {
			e, err := events.Decode(m)
			f.must(err)
			epoch = string(rune('a' + e.Epoch))
		} else if m.Header["epoch"] != epoch {
			f.Fatalf("message %d of epoch %s lies in epoch %s", m.Sequence, m.Header["epoch"], epoch)
		}
	}
	for i, sequence := range acknowledged {
		if m, err := s.Get(f.ctx, sequence); sequence > 0 && (err != nil || m.Header["epoch"] != string(rune('a'+i+1))) {
			f.Errorf("acknowledged message %d of epoch %d: %v, %v", sequence, i+1, m, err)
		}
	}
	if want := uint64(len(acknowledged) + 1); last.Epoch() != want {
		f.Errorf("epoch %d, want %d", last.Epoch(), want)
	}
}

func idleHolderLearns(f *fixture) {
	s := f.stream(config())
	idle := f.acquire(s, lease("a"))
	f.acquire(s, sole("b"))
	select {
	case <-idle.Lost():
	case <-f.ctx.Done():
		f.Fatal("the old holder never learnt of the new one")
	}
}

func contenders(f *fixture) {
	s := f.stream(config())
	var mu sync.Mutex
	holders, epochs := 0, map[uint64]bool{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				w, err := s.Acquire(f.ctx, lease("c"))
				if err != nil {
					f.Error(err)
					return
				}
				mu.Lock()
				if holders++; holders > 1 || epochs[w.Epoch()] {
					f.Errorf("%d holders, epoch %d", holders, w.Epoch())
				}
				epochs[w.Epoch()] = true
				mu.Unlock()
				if _, err := w.Append(f.ctx, message(0)); err != nil {
					f.Error(err)
				}
				mu.Lock()
				holders--
				mu.Unlock()
				if err := w.Close(f.ctx); err != nil {
					f.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(epochs) != 12 {
		f.Errorf("%d epochs, want 12", len(epochs))
	}
}

func acquireEnds(f *fixture) {
	s := f.stream(config())
	f.acquire(s, lease("a"))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := s.Acquire(ctx, lease("b"))
	f.wantError(err, context.Canceled)
}

func leaseChecked(f *fixture) {
	s := f.stream(config())
	for name, spoil := range map[string]func(c *events.LeaseConfig){
		"no cluster":  func(c *events.LeaseConfig) { c.Cluster = "" },
		"no holder":   func(c *events.LeaseConfig) { c.Holder = "" },
		"no message":  func(c *events.LeaseConfig) { c.Open = nil },
		"other guard": func(c *events.LeaseConfig) { c.Cluster = "elsewhere" },
		"ageing guard": func(c *events.LeaseConfig) {
			c.Open = func(uint64) events.Message { m := lease("a").Open(1); m.Permanent = false; return m }
		},
		"wrong epoch": func(c *events.LeaseConfig) { c.Open = func(uint64) events.Message { return lease("a").Open(7) } },
	} {
		c := lease("a")
		spoil(&c)
		if _, err := s.Acquire(f.ctx, c); err == nil {
			f.Errorf("lease with %s was accepted", name)
		}
	}
	if last := f.info(s).Last; last != 0 {
		f.Errorf("a refused lease left %d messages", last)
	}
}

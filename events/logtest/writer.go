package logtest

import (
	"context"
	"sync"

	"github.com/rutter-gateway/rutter/events"
)

func equalIDs(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	_, err := w.Append(f.ctx, message(1), message(1))
	f.must(err)
	_, err = w.AppendAtomic(f.ctx, message(1), message(1))
	f.must(err)
	if got := f.history(s); len(got) != 5 || got[4].ID != message(1).ID {
		f.Errorf("stream holds %v", got)
	}
}

func concurrentAppends(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	var appenders sync.WaitGroup
	for part := range 4 {
		appenders.Go(func() {
			for n := range 25 {
				at := part*100 + 4*n
				appendTo := w.Append
				if n%2 == 0 {
					appendTo = w.AppendAtomic
				}
				if _, err := appendTo(f.ctx, messages(at, at+4)...); err != nil {
					f.Error(err)
				}
			}
		})
	}
	appenders.Wait()
	times := map[string]int{}
	for _, m := range f.history(s)[1:] {
		times[m.ID]++
	}
	for n := range 400 {
		if id := message(n).ID; times[id] != 1 {
			f.Errorf("%s is recorded %d times", id, times[id])
		}
	}
}

func atomicAppend(f *fixture) {
	c := config()
	c.MaxBytes = 100_000
	s := f.stream(c)
	w := f.acquire(s, lease("a"))
	before, err := w.AppendAtomic(f.ctx, messages(0, 10)...)
	f.must(err)

	_, err = w.AppendAtomic(f.ctx, messages(0, events.MaxAtomic+1)...)
	f.wantError(err, events.ErrTooLarge)
	large := messages(10, 15)
	large[4].Data = make([]byte, 2*f.info(s).MaxData)
	_, err = w.AppendAtomic(f.ctx, large...)
	f.wantError(err, events.ErrTooLarge)
	large[4].Data = make([]byte, 100_000)
	last, err := w.AppendAtomic(f.ctx, large...)
	f.wantError(err, events.ErrFull)
	if last != before || f.info(s).Last != before {
		f.Errorf("writer at %d and stream at %d after refused batches, want %d", last, f.info(s).Last, before)
	}

	_, err = w.AppendAtomic(f.ctx, message(10))
	f.must(err)
	f.expect(f.history(s)[1:], 0)
}

func tooLarge(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	large := message(2)
	large.Data = make([]byte, f.info(s).MaxData+64<<10)
	last, err := w.Append(f.ctx, message(0), large)
	f.wantError(err, events.ErrTooLarge)
	if last != 1 || f.info(s).Last != 1 {
		f.Errorf("writer at %d, stream at %d, want 1", last, f.info(s).Last)
	}
	_, err = s.Publish(f.ctx, message(0), large)
	f.wantError(err, events.ErrTooLarge)

	fits := message(0)
	fits.Data = make([]byte, f.info(s).MaxData)
	_, err = w.Append(f.ctx, fits)
	f.must(err)
}

func fullStream(f *fixture) {
	c := config()
	c.MaxBytes = 10_000
	s := f.stream(c)
	w := f.acquire(s, lease("a"))
	var last uint64
	var err error
	for n := 0; err == nil; n++ {
		last, err = w.Append(f.ctx, message(n))
	}
	f.wantError(err, events.ErrFull)
	if now := f.info(s).Last; now != last {
		f.Errorf("writer at %d, stream at %d", last, now)
	}
	_, err = w.Append(f.ctx, message(0))
	f.wantError(err, events.ErrFull)

	f.stream(config())
	stored := int(last - 1)
	_, err = w.Append(f.ctx, message(stored))
	f.must(err)
	f.expect(f.history(s)[1:], 0)
}

func appendNothing(f *fixture) {
	w := f.acquire(f.stream(config()), lease("a"))
	for _, appendTo := range []func(context.Context, ...events.Message) (uint64, error){w.Append, w.AppendAtomic} {
		if last, err := appendTo(f.ctx); err != nil || last != 1 {
			f.Errorf("appended nothing at %d: %v", last, err)
		}
	}
}

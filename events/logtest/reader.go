package logtest

import (
	"context"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// expect fails unless got are the messages from on, at consecutive sequences.
func (f *fixture) expect(got []events.Message, from int) {
	f.Helper()
	for i, m := range got {
		if m.ID != message(from+i).ID || m.Sequence != got[0].Sequence+uint64(i) {
			f.Fatalf("message %d of %d is %s at %d, want %s at %d", i, len(got), m.ID, m.Sequence, message(from+i).ID, got[0].Sequence+uint64(i))
		}
	}
}

func readerInOrder(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	r := s.Reader(1)
	defer r.Close()
	f.read(r, 1)
	for from, size := 0, 1; from < 2000; from, size = from+size, size*3 {
		_, err := w.Append(f.ctx, messages(from, from+size)...)
		f.must(err)
		f.expect(f.read(r, size), from)
	}
}

func readerResumes(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	last, err := w.Append(f.ctx, messages(0, 100)...)
	f.must(err)
	for from := uint64(2); from <= last; from += 7 {
		r := s.Reader(from)
		f.expect(f.read(r, int(last+1-from)), int(from-2))
		r.Close()
	}
}

func readerWaits(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	got := make(chan []events.Message)
	r := s.Reader(2)
	defer r.Close()
	go func() {
		batch, err := r.Next(f.ctx)
		if err != nil {
			f.Error(err)
		}
		got <- batch
	}()
	select {
	case batch := <-got:
		f.Fatalf("read %v from an empty stream", batch)
	case <-time.After(50 * time.Millisecond):
	}
	_, err := w.Append(f.ctx, message(0))
	f.must(err)
	f.expect(<-got, 0)
}

func readerBatches(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	_, err := w.Append(f.ctx, messages(0, 500)...)
	f.must(err)
	r := s.Reader(2)
	defer r.Close()
	batch, err := r.Next(f.ctx)
	f.must(err)
	if len(batch) != 500 {
		f.Errorf("%d messages in one batch, want all 500", len(batch))
	}
	_, err = w.Append(f.ctx, message(500))
	f.must(err)
	if batch, err = r.Next(f.ctx); err != nil || len(batch) != 1 {
		f.Errorf("%d messages, %v", len(batch), err)
	}
}

func readerBounds(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	_, err := w.Append(f.ctx, messages(0, 5500)...)
	f.must(err)
	large := messages(5500, 5524)
	for i := range large {
		large[i].Data = make([]byte, 700<<10)
	}
	last, err := w.Append(f.ctx, large...)
	f.must(err)
	r := s.Reader(2)
	defer r.Close()
	var all []events.Message
	for len(all) < int(last-1) {
		batch, err := r.Next(f.ctx)
		f.must(err)
		bytes := 0
		for _, m := range batch[:len(batch)-1] {
			bytes += len(m.Data)
		}
		if len(batch) > events.MaxBatch || bytes > events.MaxBatchBytes {
			f.Errorf("a batch of %d messages and %d bytes", len(batch), bytes)
		}
		all = append(all, batch...)
	}
	f.expect(all, 0)
}

func readerEnds(f *fixture) {
	s := f.stream(config())
	r := s.Reader(0)
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	_, err := r.Next(ctx)
	f.wantError(err, context.DeadlineExceeded)

	w := f.acquire(s, lease("a"))
	_, err = w.Append(f.ctx, message(0))
	f.must(err)
	f.expect(f.read(r, 2)[1:], 0) // and nothing was lost to the ctx that ended

	r.Close()
	_, err = r.Next(f.ctx)
	f.wantError(err, events.ErrClosed)

	waiting := s.Reader(0)
	f.read(waiting, 2)
	ended := make(chan error)
	go func() {
		_, err := waiting.Next(f.ctx)
		ended <- err
	}()
	f.must(w.Close(f.ctx))
	f.log.Close()
	f.wantError(<-ended, events.ErrClosed)
}

func readerBeyondEnd(f *fixture) {
	s := f.stream(config())
	f.acquire(s, lease("a"))
	_, err := s.Reader(3).Next(f.ctx)
	f.wantError(err, events.ErrGap)
}

// small is a stream that keeps about 100 messages.
func small() events.StreamConfig {
	return events.StreamConfig{Name: events.StreamReceipts, Subjects: []string{"rutter.receipts.>"}, MaxBytes: 30_000, DiscardOld: true}
}

func receipts(n int) []events.Message {
	out := messages(0, n)
	for i := range out {
		out[i].Subject, out[i].ID = events.ReceiptSubject(cluster, "s"), ""
		out[i].Data = make([]byte, 250)
	}
	return out
}

func readerAfterRetention(f *fixture) {
	s := f.stream(small())
	last, err := s.Publish(f.ctx, receipts(300)...)
	f.must(err)
	info := f.info(s)
	if info.First < 100 || info.Last != last {
		f.Fatalf("stream kept %d to %d", info.First, info.Last)
	}
	for _, from := range []uint64{1, info.First - 1} {
		_, err = s.Reader(from).Next(f.ctx)
		f.wantError(err, events.ErrGap)
	}
	for _, from := range []uint64{0, info.First} {
		if got := f.read(s.Reader(from), int(last+1-info.First)); got[0].Sequence != info.First {
			f.Errorf("reader from %d began at %d, want %d", from, got[0].Sequence, info.First)
		}
	}
}

func readerOvertaken(f *fixture) {
	s := f.stream(small())
	_, err := s.Publish(f.ctx, receipts(1)...)
	f.must(err)
	r := s.Reader(0)
	defer r.Close()
	f.read(r, 1)
	_, err = s.Publish(f.ctx, receipts(6000)...)
	f.must(err)
	next := uint64(2)
	for {
		batch, err := r.Next(f.ctx)
		if err != nil {
			f.wantError(err, events.ErrGap)
			break
		}
		for _, m := range batch {
			if m.Sequence != next {
				f.Fatalf("read %d after %d", m.Sequence, next-1)
			}
			next++
		}
	}
	_, err = r.Next(f.ctx)
	f.wantError(err, events.ErrGap)
}

func permanentOutlives(f *fixture) {
	c := config()
	c.MaxAge = 300 * time.Millisecond
	s := f.stream(c)
	w := f.acquire(s, lease("a"))
	_, err := w.Append(f.ctx, messages(0, 10)...)
	f.must(err)
	f.until("messages age out", func() bool { return f.info(s).First == 12 })
	guard, err := s.Last(f.ctx, events.GuardSubject(events.StreamEvents, cluster))
	f.must(err)
	if guard.Sequence != 1 || !guard.Permanent {
		f.Errorf("guard is %+v", guard)
	}
	last, err := w.Append(f.ctx, message(10))
	f.must(err)
	if last != 12 {
		f.Errorf("appended at %d, want 12", last)
	}
	_, err = s.Reader(2).Next(f.ctx)
	f.wantError(err, events.ErrGap)
	if next := f.acquire(s, sole("b")); next.Epoch() != 2 {
		f.Errorf("epoch %d after 1", next.Epoch())
	}
}

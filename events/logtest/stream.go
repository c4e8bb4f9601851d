package logtest

import (
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

func messageComesBack(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	before := time.Now().Add(-time.Minute)
	sent := events.Message{
		Subject: "rutter.events.c.services.ns.name_with_dots", ID: "uid/17",
		Header:    map[string]string{"ce-type": "t", "content-encoding": "", "ce-subject": "a/b/c: d"},
		Data:      []byte{0, 1, 2, '\r', '\n', 255},
		Permanent: true,
	}
	last, err := w.Append(f.ctx, sent)
	f.must(err)
	got, err := s.Get(f.ctx, last)
	f.must(err)
	read := f.read(s.Reader(last), 1)[0]
	for _, m := range []events.Message{got, read} {
		if m.Subject != sent.Subject || m.ID != sent.ID || !maps.Equal(m.Header, sent.Header) ||
			!slices.Equal(m.Data, sent.Data) || !m.Permanent || m.Sequence != last {
			f.Errorf("got %+v, want %+v", m, sent)
		}
		if m.Stored.Before(before) || m.Stored.Location() != time.UTC {
			f.Errorf("stored %v", m.Stored)
		}
	}
}

func streamKeepsItsIncarnation(f *fixture) {
	first := f.info(f.stream(config()))
	if first.Incarnation == "" || first.First != 1 || first.Last != 0 || first.MaxData < 1<<19 {
		f.Errorf("fresh stream: %+v", first)
	}
	changed := config()
	changed.MaxAge, changed.MaxBytes = time.Hour, 1<<20
	if again := f.info(f.stream(changed)); again.Incarnation != first.Incarnation {
		f.Errorf("incarnation %s became %s", first.Incarnation, again.Incarnation)
	}
	other := events.StreamConfig{Name: events.StreamReceipts, Subjects: []string{"rutter.receipts.>"}}
	if f.info(f.stream(other)).Incarnation == first.Incarnation {
		f.Error("two streams have one incarnation")
	}
}

func streamIsOpenedAsItIs(f *fixture) {
	_, err := f.log.Stream(f.ctx, events.StreamConfig{Name: events.StreamEvents})
	f.wantError(err, events.ErrNotFound)

	limited := config()
	limited.MaxBytes = 2000
	f.stream(limited)
	w := f.acquire(f.stream(events.StreamConfig{Name: events.StreamEvents}), lease("a"))
	large := message(1)
	large.Data = make([]byte, 3000)
	_, err = w.Append(f.ctx, large)
	f.wantError(err, events.ErrFull)
}

func notFound(f *fixture) {
	s := f.stream(config())
	_, err := s.Get(f.ctx, 1)
	f.wantError(err, events.ErrNotFound)
	_, err = s.Last(f.ctx, "rutter.events.none")
	f.wantError(err, events.ErrNotFound)
}

func lastOnSubject(f *fixture) {
	s := f.stream(config())
	w := f.acquire(s, lease("a"))
	_, err := w.Append(f.ctx, messages(0, 20)...)
	f.must(err)
	m, err := s.Last(f.ctx, message(17).Subject)
	f.must(err)
	if m.ID != message(17).ID {
		f.Errorf("last on %s is %s", m.Subject, m.ID)
	}
}

func publishedOnce(f *fixture) {
	s := f.stream(events.StreamConfig{Name: events.StreamReceipts, Subjects: []string{"rutter.receipts.>"}, MaxBytes: 1 << 20, DiscardOld: true})
	receipt := events.Message{Subject: events.ReceiptSubject(cluster, "xds-0"), Data: []byte("r"), ID: "x"}
	first, err := s.Publish(f.ctx, receipt)
	f.must(err)
	again, err := s.Publish(f.ctx, receipt)
	f.must(err)
	if first != 1 || again != 1 {
		f.Errorf("published at %d and %d, want 1 and 1", first, again)
	}
	receipt.ID = ""
	last, err := s.Publish(f.ctx, receipt, receipt)
	f.must(err)
	if got := f.history(s); last != 3 || len(got) != 3 || got[0].ID != "x" {
		f.Errorf("stream holds %v up to %d", got, last)
	}
}

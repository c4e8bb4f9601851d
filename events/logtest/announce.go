package logtest

import (
	"context"
	"fmt"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

func announced(f *fixture) {
	subject := events.ReceiptHeartbeatSubject(cluster, "one")
	f.must(f.log.Announce(f.ctx, events.Message{Subject: subject, Data: []byte("nobody listens")}))
	one, err := f.log.Listen(f.ctx, subject)
	f.must(err)
	all, err := f.log.Listen(f.ctx, events.ReceiptHeartbeatSubject(cluster, "*"))
	f.must(err)
	defer all.Close()
	other, err := f.log.Listen(f.ctx, events.ReceiptHeartbeatSubject("other", "*"))
	f.must(err)
	defer other.Close()

	want := events.Message{Subject: subject, Data: []byte("heard"), Header: map[string]string{"rutter-format": "1"}}
	f.must(f.log.Announce(f.ctx, want))
	f.must(f.log.Announce(f.ctx, events.Message{Subject: events.ReceiptHeartbeatSubject(cluster, "two"), Data: []byte("heard by all")}))
	f.must(f.log.Announce(f.ctx, events.Message{Subject: events.ReceiptHeartbeatSubject("other", "one"), Data: []byte("elsewhere")}))

	got, err := one.Next(f.ctx)
	f.must(err)
	if len(got) != 1 || string(got[0].Data) != "heard" || got[0].Subject != subject || got[0].Header["rutter-format"] != "1" {
		f.Errorf("heard %+v", got)
	}
	if texts := f.hear(all, 2); !slices.Equal(texts, []string{"heard", "heard by all"}) {
		f.Errorf("heard %q", texts)
	}
	if texts := f.hear(other, 1); !slices.Equal(texts, []string{"elsewhere"}) {
		f.Errorf("heard %q", texts)
	}

	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err = one.Next(ended)
	f.wantError(err, context.Canceled)
	one.Close()
	_, err = one.Next(f.ctx)
	f.wantError(err, events.ErrClosed)
	f.log.Close()
	_, err = all.Next(f.ctx)
	f.wantError(err, events.ErrClosed)
	f.wantError(f.log.Announce(f.ctx, want), events.ErrClosed)
}

// announcementsOfAMoment come as many at a time as are there.
func announcementsOfAMoment(f *fixture) {
	subject := events.ReceiptHeartbeatSubject(cluster, "one")
	l, err := f.log.Listen(f.ctx, subject)
	f.must(err)
	defer l.Close()
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint(i))
		f.must(f.log.Announce(f.ctx, events.Message{Subject: subject, Data: []byte(want[i])}))
	}
	if got := f.hear(l, len(want)); !slices.Equal(got, want) {
		f.Errorf("heard %q", got)
	}
}

// hear is the next n messages.
func (f *fixture) hear(l events.Listener, n int) (texts []string) {
	f.Helper()
	for len(texts) < n {
		batch, err := l.Next(f.ctx)
		f.must(err)
		for _, m := range batch {
			texts = append(texts, string(m.Data))
		}
	}
	return texts
}

package ingest

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// onNATS opens the log of a server by a connection of its own.
func (w *world) onNATS(url, holder string) (Config, *natslog.Log) {
	w.t.Helper()
	log, err := natslog.Connect(w.t.Context(), natslog.Config{URL: url, Name: holder, Logger: slog.New(slog.DiscardHandler)})
	must(w.t, err)
	w.t.Cleanup(log.Close)
	c := w.config
	c.Holder, c.Sole = holder, false
	for _, sc := range events.Streams(1) {
		stream, err := log.Stream(w.t.Context(), sc)
		must(w.t, err)
		switch sc.Name {
		case events.StreamEvents:
			c.Events = stream
		case events.StreamEndpoints:
			c.Endpoints = stream
		}
	}
	c.Bucket, err = log.Bucket(w.t.Context(), IndexBucket)
	must(w.t, err)
	return c, log
}

// An ingest that dies without a word is followed by the one that stands by, which
// records what happened meanwhile.
func TestAStandbyTakesOverFromAnIngestThatDied(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 50))
	url := gwtest.NATS(t)
	c, connection := w.onNATS(url, "first")
	_, stopFirst, firstEnded := w.run(c)
	c, _ = w.onNATS(url, "second")
	w.config.Events, w.config.Endpoints = c.Events, c.Endpoints
	w.until("the first has listed everything", func() bool { return w.listings(events.HTTPRoutes) == "… listed" })
	second, stopSecond, secondEnded := w.run(c)
	w.until("the second stands by", func() bool { return second.Ready() == nil })
	if got := w.holders(); got != "first" {
		t.Fatalf("the stream was held by %s, want the first alone", got)
	}

	next := w.after(w.config.Events)
	died := time.Now()
	connection.Close() // no heartbeat, and no farewell
	w.api.Apply(route("late", "a.example"))
	w.await(w.config.Events, next, "applied httproutes/late")
	took := time.Since(died)
	t.Logf("taken over, listed and recorded %s after the first died", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if got := w.holders(); got != "first, second" {
		t.Errorf("the stream was held by %s", got)
	}
	stopFirst()
	t.Logf("the first ends with %v", <-firstEnded)
	stopSecond()
	must(t, <-secondEnded)
}

// holders are those who held EVENTS, in order.
func (w *world) holders() string {
	w.t.Helper()
	var out []string
	for _, e := range w.read(w.config.Events, 0) {
		if _, holder, ok := strings.Cut(string(e.Data), `"holder":"`); ok && e.Type == events.TypeEpoch {
			name, _, _ := strings.Cut(holder, `"`)
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

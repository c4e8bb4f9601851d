package logtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Run runs the suite. open returns an empty log that accepts messages of 1 MiB,
// and closes it when its test ends.
func Run(t *testing.T, open func(t *testing.T) events.Log) {
	for _, test := range []struct {
		name string
		run  func(f *fixture)
	}{
		{"message comes back as it was appended", messageComesBack},
		{"stream keeps its incarnation", streamKeepsItsIncarnation},
		{"stream without subjects is opened as it is", streamIsOpenedAsItIs},
		{"what is not there is not found", notFound},
		{"last is the newest message on a subject", lastOnSubject},
		{"published id is stored once", publishedOnce},

		{"ordered: reader hands out all messages in order", readerInOrder},
		{"resumable: reader goes on from any sequence", readerResumes},
		{"reader waits for a message", readerWaits},
		{"reader returns all that is pending", readerBatches},
		{"reader bounds a batch", readerBounds},
		{"reader ends with its context or the log", readerEnds},
		{"reader beyond the end has a gap", readerBeyondEnd},
		{"reader before the first message has a gap", readerAfterRetention},
		{"reader overtaken by retention has a gap", readerOvertaken},
		{"permanent message outlives its age", permanentOutlives},

		{"unique: equal ids are both recorded", equalIDs},
		{"complete: concurrent appends are all recorded once", concurrentAppends},
		{"atomic append is all or nothing", atomicAppend},
		{"too large message is refused before anything is stored", tooLarge},
		{"full stream refuses and the writer stays usable", fullStream},
		{"appending nothing is nothing", appendNothing},

		{"fresh stream is taken at once", freshStream},
		{"standby waits for the holder to fall silent", standbyWaits},
		{"standby follows at once when the holder closes", standbyFollows},
		{"sole process does not wait", soleDoesNotWait},
		{"fenced: paused writer is refused", pausedWriter},
		{"fenced: takeover in the middle of appends", takeoverWhileAppending},
		{"idle holder learns that it is fenced", idleHolderLearns},
		{"one of many contenders holds at a time", contenders},
		{"acquire ends with its context", acquireEnds},
		{"lease configuration is checked", leaseChecked},

		{"bucket keeps bytes by name", bucketKeeps},

		{"announcement reaches who listens to its subject", announced},
		{"announcements come in order", announcementsOfAMoment},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			test.run(&fixture{T: t, ctx: ctx, log: open(t)})
		})
	}
}

const cluster = "test.cluster"

// fixture is a test with its log.
type fixture struct {
	*testing.T
	ctx context.Context //nolint:containedctx // a fixture lives as long as its test
	log events.Log
}

// config is that of the stream EVENTS without limits.
func config() events.StreamConfig {
	return events.StreamConfig{Name: events.StreamEvents, Subjects: []string{"rutter.events.>"}}
}

func (f *fixture) stream(c events.StreamConfig) events.Stream {
	f.Helper()
	s, err := f.log.Stream(f.ctx, c)
	f.must(err)
	return s
}

// lease is one for holder. Tests that want a paused holder give it a heartbeat of
// an hour.
func lease(holder string) events.LeaseConfig {
	return events.LeaseConfig{
		Cluster: cluster, Holder: holder,
		Open: func(epoch uint64) events.Message {
			data, err := json.Marshal(events.EpochOpened{Epoch: epoch, Holder: holder})
			if err != nil {
				panic(err)
			}
			return events.Encode(events.Event{
				ID: fmt.Sprintf("%s/%d", holder, epoch), Type: events.TypeEpoch, Cluster: cluster,
				Key: events.EpochKey(events.StreamEvents), Epoch: epoch, Data: data,
			})
		},
	}
}

func paused(holder string) events.LeaseConfig {
	c := lease(holder)
	c.Heartbeat = time.Hour
	return c
}

func sole(holder string) events.LeaseConfig {
	c := lease(holder)
	c.Sole = true
	return c
}

// acquire gets a writer that is closed when the test ends.
func (f *fixture) acquire(s events.Stream, c events.LeaseConfig) events.Writer {
	f.Helper()
	w, err := s.Acquire(f.ctx, c)
	f.must(err)
	f.Cleanup(func() { _ = w.Close(context.WithoutCancel(f.ctx)) })
	return w
}

// message is the n-th message of a test, of about 100 bytes.
func message(n int) events.Message {
	return events.Message{
		Subject: fmt.Sprintf("rutter.events.c.httproutes.ns.route-%d", n%7),
		ID:      fmt.Sprintf("id/%d", n),
		Header:  map[string]string{"ce-id": fmt.Sprintf("id/%d", n)},
		Data:    fmt.Appendf(nil, `{"n":%d}`, n),
	}
}

func messages(from, to int) []events.Message {
	var out []events.Message
	for n := from; n < to; n++ {
		out = append(out, message(n))
	}
	return out
}

// read returns the next n messages.
func (f *fixture) read(r events.Reader, n int) []events.Message {
	f.Helper()
	var out []events.Message
	for len(out) < n {
		batch, err := r.Next(f.ctx)
		f.must(err)
		out = append(out, batch...)
	}
	if len(out) != n {
		f.Fatalf("read %d messages, want %d", len(out), n)
	}
	return out
}

// history is the whole stream, from its first message to its last.
func (f *fixture) history(s events.Stream) []events.Message {
	f.Helper()
	info := f.info(s)
	r := s.Reader(info.First)
	defer r.Close()
	return f.read(r, int(info.Last+1-info.First))
}

func (f *fixture) info(s events.Stream) events.StreamInfo {
	f.Helper()
	info, err := s.Info(f.ctx)
	f.must(err)
	return info
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) wantError(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("error %v, want %v", err, want)
	}
}

// until polls for what the log does in its own time, such as retention.
func (f *fixture) until(what string, done func() bool) {
	f.Helper()
	for !done() {
		select {
		case <-f.ctx.Done():
			f.Fatalf("never happened: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

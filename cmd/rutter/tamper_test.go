package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
)

// tampered is a log of which somebody has changed the events.
type tampered struct {
	*memlog.Log
	change func([]events.Message) []events.Message
}

func (l tampered) Close() {}

func (l tampered) Stream(ctx context.Context, c events.StreamConfig) (events.Stream, error) {
	s, err := l.Log.Stream(ctx, c)
	if err != nil || c.Name != events.StreamEvents {
		return s, err
	}
	return tamperedStream{s, l.change}, nil
}

type tamperedStream struct {
	events.Stream
	change func([]events.Message) []events.Message
}

func (s tamperedStream) Reader(from uint64) events.Reader {
	return tamperedReader{s.Stream.Reader(from), s.change}
}

type tamperedReader struct {
	events.Reader
	change func([]events.Message) []events.Message
}

func (r tamperedReader) Next(ctx context.Context) ([]events.Message, error) {
	list, err := r.Reader.Next(ctx)
	return r.change(slices.Clone(list)), err
}

// place is the index of a sequence.
func messageAt(list []events.Message, sequence uint64) int {
	return slices.IndexFunc(list, func(m events.Message) bool { return m.Sequence == sequence })
}

func TestVerifyNamesTheIntervalInWhichTheLogWasChanged(t *testing.T) {
	p := newPast(t)
	p.step(bisectedWorld + "---\n" + routeTo("shop", "shop.example.com", "v1")) // up to 12
	for i := range 2 {
		p.step("{kind: Namespace, metadata: {name: n" + fmt.Sprint(i) + "}}") // of which no version comes
	}
	p.foldCheckpoint()                                  // at 14
	p.step(routeTo("shop", "shop.example.com", "none")) // 15
	p.step(routeTo("shop", "shop.example.com", "v1"))   // 16
	alter := func(at uint64) func([]events.Message) []events.Message {
		return func(list []events.Message) []events.Message {
			if i := messageAt(list, at); i >= 0 {
				list[i].Data = bytes.Replace(list[i].Data, []byte(`"kind"`), []byte(`"Kind"`), 1)
			}
			return list
		}
	}
	for name, c := range map[string]struct {
		change func([]events.Message) []events.Message
		want   []string
	}{
		"nothing": {func(list []events.Message) []events.Message { return list }, nil},
		"altered between a version and a checkpoint": {alter(13), []string{"between 12 of 2026-11-01T12:00:00Z and 14 of 2026-11-01T12:02:00Z an event was altered, lost or moved"}},
		"altered at a version":                       {alter(15), []string{"between 14 of 2026-11-01T12:02:00Z and 15 of 2026-11-01T12:03:00Z an event was altered, lost or moved"}},
		"altered twice": {func(list []events.Message) []events.Message { return alter(16)(alter(10)(list)) }, []string{
			"between the beginning and 12 of 2026-11-01T12:00:00Z", "between 15 of 2026-11-01T12:03:00Z and 16 of 2026-11-01T12:04:00Z"}},
		"lost": {func(list []events.Message) []events.Message {
			return slices.DeleteFunc(list, func(m events.Message) bool { return m.Sequence == 13 })
		}, []string{"between 12 of 2026-11-01T12:00:00Z and 14 of"}},
		"reordered": {func(list []events.Message) []events.Message {
			if i, j := messageAt(list, 13), messageAt(list, 14); i >= 0 && j >= 0 {
				list[i], list[j] = list[j], list[i]
				list[i].Sequence, list[j].Sequence = list[j].Sequence, list[i].Sequence
			}
			return list
		}, []string{"between 12 of 2026-11-01T12:00:00Z and 14 of"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := p.verify(tampered{p.log, c.change})
			if code != map[bool]int{true: exitFine, false: exitFound}[c.want == nil] || strings.Count(out, "altered, lost or moved") != len(c.want) {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("nothing says %q:\n%s", want, out)
				}
			}
		})
	}
}

func TestVerifyFindsACheckpointThatWasChanged(t *testing.T) {
	p := newPast(t)
	p.step(bisectedWorld)
	p.foldCheckpoint()
	p.step(routeTo("shop", "shop.example.com", "v1"))
	p.changeCheckpoint()
	out, code := p.verify(unclosed{p.log})
	if code != exitFound || !strings.Contains(out, "that of the checkpoint at 11 of 2026-11-01T12:00:00Z is") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// verify runs the command on a log.
func (p *past) verify(log events.Log) (string, int) {
	p.t.Helper()
	var out bytes.Buffer
	env := environment{out: &out, err: &out, now: func() time.Time { return p.now }, open: func(context.Context, source) (events.Log, error) { return log, nil }}
	code := run(p.t.Context(), env, []string{"verify", "--data-dir=x"})
	return out.String(), code
}

func (p *past) foldName() (events.Bucket, string) {
	p.t.Helper()
	bucket, err := p.log.Bucket(p.t.Context(), projector.FoldBucket)
	must(p.t, err)
	v := p.engine.State().Version
	return bucket, fmt.Sprintf("%s/%020d", v.Incarnation, v.Sequence)
}

// foldCheckpoint stores the fold, as the projector does now and then.
func (p *past) foldCheckpoint() {
	p.t.Helper()
	bucket, name := p.foldName()
	data, encoding, err := routing.MarshalStream(p.engine.State().Write)
	must(p.t, err)
	must(p.t, bucket.Put(p.t.Context(), name, append([]byte(encoding+"\n"), data...)))
}

// changeCheckpoint gives the checkpoint another chain, and a digest that fits.
func (p *past) changeCheckpoint() {
	p.t.Helper()
	bucket, err := p.log.Bucket(p.t.Context(), projector.FoldBucket)
	must(p.t, err)
	names, err := bucket.List(p.t.Context())
	must(p.t, err)
	data, err := bucket.Get(p.t.Context(), names[0])
	must(p.t, err)
	at := bytes.Index(data, []byte(`"chain":"`)) + len(`"chain":"`)
	if data[at] == '0' {
		data[at] = '1'
	} else {
		data[at] = '0'
	}
	must(p.t, bucket.Put(p.t.Context(), names[0], data))
}

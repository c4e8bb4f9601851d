package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/bundle"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// Options say what of a log goes into a bundle.
type Options struct {
	// Since and Until are the first and the last event of interest; 0 is no bound.
	Since, Until uint64
	// Keys are the Secrets whose private keys are taken along, sealed as they are.
	Keys []events.Key
	// By is the release that writes it, Now the time.
	By  string
	Now time.Time
	// Progress is told now and then; it may be nil.
	Progress func(Summary)
}

// Summary is what was carried so far.
type Summary struct {
	// Messages are counted by stream; Of is about how many there will be in all.
	Messages map[string]int `json:"messages"`
	Of       uint64         `json:"-"`
	// Checkpoints are states, Keyless the messages from which a private key was left out.
	Checkpoints int   `json:"checkpoints"`
	Keyless     int   `json:"keysLeftOutOf"`
	Bytes       int64 `json:"bytes"`
}

// Done is how many messages were carried.
func (s Summary) Done() uint64 {
	n := uint64(0)
	for _, count := range s.Messages {
		n += uint64(count)
	}
	return n
}

// Export writes a bundle.
func Export(ctx context.Context, log events.Log, o Options, out io.Writer) (*Summary, error) {
	x := &exporter{Options: o, streams: map[string]events.Stream{}, infos: map[string]events.StreamInfo{}}
	x.summary.Messages = map[string]int{}
	if err := x.open(ctx, log); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if err := x.run(ctx, out); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return &x.summary, nil
}

type exporter struct {
	Options
	// names are those of the streams that there are.
	names           []string
	streams         map[string]events.Stream
	infos           map[string]events.StreamInfo
	folds, versions events.Bucket
	first, last     uint64 // of EVENTS
	out             *bundle.Writer
	summary         Summary
}

func (x *exporter) open(ctx context.Context, log events.Log) error {
	for _, c := range events.Streams(1) {
		s, err := log.Stream(ctx, events.StreamConfig{Name: c.Name})
		if errors.Is(err, events.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		info, err := s.Info(ctx)
		if err != nil {
			return err
		}
		x.names = append(x.names, c.Name)
		x.streams[c.Name], x.infos[c.Name] = s, info
		x.summary.Of += info.Last - info.First + 1
	}
	info, ok := x.infos[events.StreamEvents]
	if !ok || info.Last == 0 || x.streams[events.StreamSnapshots] == nil {
		return errors.New("nothing was ever recorded there: no Rutter has run on this log")
	}
	x.first, x.last = max(info.First, x.Since), info.Last
	if x.Until > 0 {
		x.last = min(x.last, x.Until)
	}
	if x.first > x.last {
		return fmt.Errorf("there is no event from %d to %d", x.first, x.last)
	}
	var err error
	if x.folds, err = log.Bucket(ctx, projector.FoldBucket); err == nil {
		x.versions, err = log.Bucket(ctx, routing.CheckpointBucket)
	}
	return err
}

func (x *exporter) run(ctx context.Context, out io.Writer) error {
	first, err := x.streams[events.StreamEvents].Get(ctx, x.first)
	if err != nil {
		return err
	}
	incarnation := x.infos[events.StreamEvents].Incarnation
	h := bundle.Header{
		Created: x.Now.UTC(), By: x.By, Cluster: first.Header["ce-source"],
		Since: events.Version{Incarnation: incarnation, Sequence: x.first}, Until: events.Version{Incarnation: incarnation, Sequence: x.last},
	}
	for _, name := range x.names {
		h.Streams = append(h.Streams, bundle.StreamHeader{Name: name, Incarnation: x.infos[name].Incarnation})
	}
	for _, key := range x.Keys {
		h.Keys = append(h.Keys, key.Namespace+"/"+key.Name)
	}
	if x.out, err = bundle.NewWriter(out, h); err != nil {
		return err
	}
	position, err := x.starts(ctx)
	if err != nil {
		return err
	}
	if err := x.events(ctx); err != nil {
		return err
	}
	if err := x.snapshots(ctx, position); err != nil {
		return err
	}
	within, err := x.period(ctx)
	if err != nil {
		return err
	}
	for _, name := range x.names {
		if name != events.StreamEvents && name != events.StreamSnapshots {
			if err := x.others(ctx, name, within); err != nil {
				return err
			}
		}
	}
	err = x.out.Close()
	x.summary.Bytes = x.out.Size()
	return err
}

// starts writes the states from which the range is folded and read on, and returns
// where in SNAPSHOTS that is.
func (x *exporter) starts(ctx context.Context) (position uint64, err error) {
	stream, snapshots := x.streams[events.StreamEvents], x.streams[events.StreamSnapshots]
	info := x.infos[events.StreamEvents]
	if x.first <= 1 {
		return x.infos[events.StreamSnapshots].First - 1, nil
	}
	var state *fold.State
	if x.first > info.First {
		state, err = replay.StateAt(ctx, stream, x.folds, x.first-1, fold.Bytes)
	} else if state, err = replay.FirstState(ctx, stream, x.folds); errors.Is(err, events.ErrGap) {
		state, err = nil, nil // the log itself cannot be folded
	}
	if err == nil && state != nil && !state.Partial() {
		_, err = x.fold(state)
	}
	if err != nil {
		return 0, err
	}
	at := events.Version{Incarnation: info.Incarnation, Sequence: x.first - 1}
	c, err := routing.CheckpointAt(ctx, snapshots, x.versions, at)
	if errors.Is(err, events.ErrGap) { // none so old is left
		c, err = routing.FirstCheckpoint(ctx, snapshots, x.versions)
	}
	if err != nil || c == nil {
		return x.infos[events.StreamSnapshots].First - 1, err
	}
	_, err = x.version(c)
	return c.Position.Sequence, err
}

// fold writes a state, and returns how long it is.
func (x *exporter) fold(state *fold.State) (int, error) {
	var text bytes.Buffer
	if err := state.WriteKeyless(&text, x.keeps); err != nil {
		return 0, err
	}
	x.summary.Checkpoints++
	return text.Len(), x.out.Checkpoint(projector.FoldBucket, replay.CheckpointName(state.Version), text.Bytes())
}

func (x *exporter) version(c *routing.Checkpoint) (int, error) {
	keyless := *c
	keyless.Full = c.Full.Keyless(x.keeps)
	text, err := json.Marshal(keyless)
	if err != nil {
		return 0, err
	}
	x.summary.Checkpoints++
	return len(text), x.out.Checkpoint(routing.CheckpointBucket, c.Name(), text)
}

func (x *exporter) events(ctx context.Context) error {
	stored, err := x.waypoints(ctx, x.folds, x.infos[events.StreamEvents].Incarnation, func(sequence uint64) (int, error) {
		state, err := replay.StateAt(ctx, x.streams[events.StreamEvents], x.folds, sequence, fold.Bytes)
		if err != nil {
			return 0, err
		}
		return x.fold(state)
	})
	if err != nil {
		return err
	}
	return x.copy(ctx, events.StreamEvents, x.first, x.last, func(m events.Message) (bool, error) {
		m, err := x.withoutKey(m)
		if err == nil {
			err = x.message(events.StreamEvents, m)
		}
		if err == nil {
			err = stored.passed(m)
		}
		return true, err
	})
}

// snapshots writes the versions after a position, up to the last event of the range.
func (x *exporter) snapshots(ctx context.Context, position uint64) error {
	info := x.infos[events.StreamSnapshots]
	first, err := wholeFrom(ctx, x.streams[events.StreamSnapshots], max(position+1, info.First), info.Last)
	if err != nil {
		return err
	}
	stored, err := x.waypoints(ctx, x.versions, info.Incarnation, func(sequence uint64) (int, error) {
		c, err := routing.GetCheckpoint(ctx, x.versions, routing.CheckpointName(events.Version{Incarnation: info.Incarnation, Sequence: sequence}))
		if err != nil {
			return 0, err
		}
		return x.version(c)
	})
	if err != nil {
		return err
	}
	var parts []events.Message
	return x.copy(ctx, events.StreamSnapshots, first, info.Last, func(m events.Message) (bool, error) {
		if v := routing.VersionOf(m); v.Incarnation == x.infos[events.StreamEvents].Incarnation && v.Sequence > x.last {
			return false, nil
		}
		index, of := routing.PartOf(m)
		if parts = append(parts, m); index+1 < of {
			return true, nil
		}
		whole, err := x.withoutKeys(parts)
		parts = parts[:0]
		for i := 0; i < len(whole) && err == nil; i++ {
			err = x.message(events.StreamSnapshots, whole[i])
		}
		if err == nil {
			err = stored.passed(m)
		}
		return true, err
	})
}

// wholeFrom is where the first version begins that is there as a whole, from a
// sequence on: retention may have removed the first parts of one.
func wholeFrom(ctx context.Context, stream events.Stream, from, last uint64) (uint64, error) {
	for ; from <= last; from++ {
		m, err := stream.Get(ctx, from)
		if err != nil {
			return 0, err
		}
		if index, _ := routing.PartOf(m); index == 0 {
			break
		}
	}
	return from, nil
}

// others writes what another stream holds of a time.
func (x *exporter) others(ctx context.Context, name string, within period) error {
	first, last, err := within.extent(ctx, name, x.streams[name], x.infos[name])
	if err != nil {
		return err
	}
	return x.copy(ctx, name, first, last, func(m events.Message) (bool, error) {
		var err error
		if name == events.StreamReceipts {
			var kept []events.Message
			if kept, err = x.withoutKeys([]events.Message{m}); err == nil {
				m = kept[0]
			}
		}
		if err == nil {
			err = x.message(name, m)
		}
		return true, err
	})
}

// copy begins a stream in the bundle and hands its messages to take, in order, until
// that has enough.
func (x *exporter) copy(ctx context.Context, name string, first, last uint64, take func(events.Message) (bool, error)) error {
	if err := x.out.Begin(name, first); err != nil {
		return err
	}
	if first > last {
		return nil
	}
	reader := x.streams[name].Reader(first)
	defer reader.Close()
	for at := first; at <= last; {
		batch, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		for _, m := range batch {
			if m.Sequence > last {
				return nil
			}
			more, err := take(m)
			if err != nil || !more {
				return err
			}
			at = m.Sequence + 1
		}
		if x.Progress != nil {
			x.summary.Bytes = x.out.Size()
			x.Progress(x.summary)
		}
	}
	return nil
}

func (x *exporter) message(stream string, m events.Message) error {
	x.summary.Messages[stream]++
	return x.out.Message(m)
}

// sequenceOf is the sequence that a checkpoint's name has, if it is of an incarnation.
func sequenceOf(name, incarnation string) (uint64, bool) {
	of, number, _ := strings.Cut(name, "/")
	sequence, err := strconv.ParseUint(number, 10, 64)
	return sequence, err == nil && of == incarnation
}

// waypoints are the checkpoints that lie on the way: what is read from the middle of a
// bundle is read from the nearest before. Each is taken along where it pays: where
// more than twice as much lies between it and the one before.
type waypoints struct {
	ahead []uint64
	write func(sequence uint64) (int, error)
	// passedBytes is what lies behind the last one, and size about how long one is.
	passedBytes, size int
}

func (x *exporter) waypoints(ctx context.Context, bucket events.Bucket, incarnation string, write func(uint64) (int, error)) (*waypoints, error) {
	names, err := bucket.List(ctx)
	if err != nil {
		return nil, err
	}
	w := &waypoints{write: write, size: minWaypoint}
	for _, name := range names {
		if sequence, ok := sequenceOf(name, incarnation); ok {
			w.ahead = append(w.ahead, sequence)
		}
	}
	slices.Sort(w.ahead)
	return w, nil
}

// minWaypoint is how short a way needs no checkpoint, in bytes.
const minWaypoint = 4 << 20

// passed is told of each message that was written.
func (w *waypoints) passed(m events.Message) error {
	w.passedBytes += len(m.Data)
	for len(w.ahead) > 0 && w.ahead[0] < m.Sequence {
		w.ahead = w.ahead[1:]
	}
	if len(w.ahead) == 0 || w.ahead[0] != m.Sequence || w.passedBytes < 2*w.size {
		return nil
	}
	size, err := w.write(m.Sequence)
	w.size, w.passedBytes = max(size, minWaypoint), 0
	return err
}

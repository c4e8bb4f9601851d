package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// ErrLost is returned by [Index.Payloads] for EndpointSlices of which neither the
// stream nor the index has the content any more, since nobody looked after them
// for longer than retention. They are marked to be recorded again.
var ErrLost = errors.New("the content of endpointslices is no longer recorded")

// recorded is an entry with what it is an entry of.
type recorded struct {
	key   events.Key
	entry *Entry
}

// sparse is from how many messages for each that is wanted on they are read one
// by one, and not with all that lies between them.
const sparse = 8

// Payloads hands to each what was recorded of the EndpointSlices before a sequence,
// in the order of the stream, from which it is read. On [ErrLost] each has got the
// others.
func (x *Index) Payloads(ctx context.Context, stream events.Stream, before uint64, each func(events.Key, *Entry, []byte) error) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("read what is recorded: %w", err)
	}
	var kept, wanted []recorded
	lost := 0
	for key, e := range x.Entries {
		switch {
		case key.Resource != events.EndpointSlices || e.Sequence >= before:
		case e.Payload != nil:
			kept = append(kept, recorded{key, e})
		case e.Sequence < info.First:
			e.Again = true
			lost++
		default:
			wanted = append(wanted, recorded{key, e})
		}
	}
	slices.SortFunc(kept, bySequence)
	for _, r := range kept {
		if err := each(r.key, r.entry, r.entry.Payload); err != nil {
			return err
		}
	}
	slices.SortFunc(wanted, bySequence)
	if err := read(ctx, stream, wanted, each); err != nil {
		return err
	}
	if lost > 0 {
		return fmt.Errorf("%d of them: %w", lost, ErrLost)
	}
	return nil
}

func bySequence(a, b recorded) int { return cmp.Compare(a.entry.Sequence, b.entry.Sequence) }

// read hands to each the payloads of messages of the stream.
func read(ctx context.Context, stream events.Stream, wanted []recorded, each func(events.Key, *Entry, []byte) error) error {
	if len(wanted) == 0 {
		return nil
	}
	first, last := wanted[0].entry.Sequence, wanted[len(wanted)-1].entry.Sequence
	if last-first > sparse*uint64(len(wanted)) {
		for _, r := range wanted {
			m, err := stream.Get(ctx, r.entry.Sequence)
			if err != nil {
				return fmt.Errorf("read what is recorded: %w", err)
			}
			if err := each(r.key, r.entry, m.Data); err != nil {
				return err
			}
		}
		return nil
	}
	reader := stream.Reader(first)
	defer reader.Close()
	for len(wanted) > 0 {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read what is recorded: %w", err)
		}
		for _, m := range messages {
			if len(wanted) == 0 || m.Sequence != wanted[0].entry.Sequence {
				continue
			}
			if err := each(wanted[0].key, wanted[0].entry, m.Data); err != nil {
				return err
			}
			wanted = wanted[1:]
		}
	}
	return nil
}

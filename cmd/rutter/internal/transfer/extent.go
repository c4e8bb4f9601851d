package transfer

import (
	"context"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// period is a time in the log: from since on, and before until; zero is no bound.
type period struct{ since, until time.Time }

// period is that of the range of EVENTS: from its first event to the first behind it.
func (x *exporter) period(ctx context.Context) (p period, err error) {
	stream, info := x.streams[events.StreamEvents], x.infos[events.StreamEvents]
	at := func(sequence uint64) (time.Time, error) {
		m, err := stream.Get(ctx, sequence)
		return observed(m), err
	}
	if x.first > info.First {
		if p.since, err = at(x.first); err != nil {
			return p, err
		}
	}
	if x.last < info.Last {
		p.until, err = at(x.last + 1)
	}
	return p, err
}

// wider is the period with as much more at both ends: who asked for a change may have been
// seen ahead of it, or behind, by another clock.
func (p period) wider(by time.Duration) period {
	if !p.since.IsZero() {
		p.since = p.since.Add(-by)
	}
	if !p.until.IsZero() {
		p.until = p.until.Add(by)
	}
	return p
}

// extent is which messages of a stream are of the period. Those of ENDPOINTS begin
// with the last list that was begun ahead of it: between its brackets stands every
// slice that there was.
func (p period) extent(ctx context.Context, name string, stream events.Stream, info events.StreamInfo) (first, last uint64, err error) {
	first, last = info.First, info.Last
	if name == events.StreamActors {
		p = p.wider(history.Nearby)
	}
	if p == (period{}) || first > last {
		return first, last, nil
	}
	reader := stream.Reader(first)
	defer reader.Close()
	found := p.since.IsZero()
	for next := first; next <= info.Last; {
		batch, err := reader.Next(ctx)
		if err != nil {
			return 0, 0, err
		}
		for _, m := range batch {
			if next = m.Sequence + 1; m.Sequence > info.Last {
				break
			}
			at := observed(m)
			if !p.until.IsZero() && !at.Before(p.until) {
				return first, max(m.Sequence-1, first-1), nil
			}
			switch {
			case p.since.IsZero():
			case name == events.StreamEndpoints:
				if m.Header["ce-type"] == string(events.TypeSyncStart) && !at.After(p.since) {
					first = m.Sequence
				}
				found = true
			case !found && !at.Before(p.since):
				first, found = m.Sequence, true
			}
		}
	}
	if !found {
		first = last + 1
	}
	return first, last, nil
}

// observed is when a message was made, by its own account: the log's is another one
// once it was imported.
func observed(m events.Message) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, m.Header["ce-time"]); err == nil {
		return at
	}
	if r, err := routing.DecodeReceipt(m); err == nil {
		return r.Time
	}
	return m.Stored
}

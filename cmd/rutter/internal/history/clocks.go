package history

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// clocks are the times of events by their sequences, as far as they were looked at.
//
// Times come from the clock of whoever recorded: when another ingest takes over, or a
// clock is set, later events may say earlier times. Then a time between the two is
// passed twice, and is no place in the log; a version always is. So a time that was
// found is looked at again: all that the search met, and the events around the place.
type clocks map[uint64]time.Time

const (
	// tolerance is how far clocks may differ before it is worth a word.
	tolerance = time.Second
	// neighbours is how many events on either side are looked at.
	neighbours = 200
)

// around adds the times of the events around a sequence.
func (h *History) around(ctx context.Context, sequence uint64, info events.StreamInfo, seen clocks) error {
	from := info.First
	if sequence > neighbours {
		from = max(from, sequence-neighbours)
	}
	return h.read(ctx, from, min(info.Last, sequence+neighbours), func(e events.Event) { seen[e.Sequence] = e.Time })
}

// disagree is an error where t is passed twice.
func (c clocks) disagree(t time.Time) error {
	var latest uint64 // of the events so far that which says the latest time
	for _, sequence := range slices.Sorted(maps.Keys(c)) {
		at := c[sequence]
		if latest != 0 && c[latest].After(t) && !at.After(t) && c[latest].Sub(at) > tolerance {
			return fmt.Errorf("clocks disagree: the log passes %s twice, event %d is of %s and event %d, recorded after it, of %s; give a version instead, such as %d",
				t.UTC().Format(time.RFC3339), latest, c[latest].Format(time.RFC3339), sequence, at.Format(time.RFC3339), sequence)
		}
		if latest == 0 || at.After(c[latest]) {
			latest = sequence
		}
	}
	return nil
}

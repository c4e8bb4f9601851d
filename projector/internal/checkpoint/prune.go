package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// keep is how many checkpoints of a stream are kept: the past is read from them.
const keep = 100

// prune removes the checkpoints that are of no use any more.
func prune(ctx context.Context, bucket events.Bucket, info events.StreamInfo) error {
	names, err := bucket.List(ctx)
	if err != nil {
		return fmt.Errorf("list checkpoints: %w", err)
	}
	for _, name := range superfluous(names, info) {
		if err := bucket.Delete(ctx, name); err != nil {
			return fmt.Errorf("remove checkpoint %s: %w", name, err)
		}
	}
	return nil
}

// superfluous are the checkpoints of other incarnations, those from which the
// stream cannot be read on, and of more than keep those that lie closest to their
// neighbours: many restarts in a day must not cost the states of last month. The
// newest always stays.
func superfluous(names []string, info events.StreamInfo) []string {
	var out []string
	var kept []uint64
	name := func(sequence uint64) string { return fmt.Sprintf("%s/%020d", info.Incarnation, sequence) }
	for _, n := range names {
		incarnation, number, _ := strings.Cut(n, "/")
		if sequence, err := strconv.ParseUint(number, 10, 64); err == nil && incarnation == info.Incarnation {
			kept = append(kept, sequence)
		} else {
			out = append(out, n)
		}
	}
	for len(kept) > 1 && kept[0]+1 < info.First {
		out = append(out, name(kept[0]))
		kept = kept[1:]
	}
	for len(kept) > keep {
		closest := 1
		for i := 1; i < len(kept)-1; i++ {
			if kept[i+1]-kept[i-1] < kept[closest+1]-kept[closest-1] {
				closest = i
			}
		}
		out = append(out, name(kept[closest]))
		kept = slices.Delete(kept, closest, closest+1)
	}
	return out
}

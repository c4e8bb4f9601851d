package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Point is a place in history as people write it: a time, or a version, of which
// the incarnation may be left out. The zero Point is now.
type Point struct {
	Time    time.Time
	Version events.Version
}

// ParsePoint reads T: an RFC 3339 time, a duration ago (2h, 2h30m, 3d, with or
// without " ago"), incarnation/sequence, or a sequence.
func ParsePoint(s string, now time.Time) (Point, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "now" {
		return Point{}, nil
	}
	if sequence, err := strconv.ParseUint(s, 10, 64); err == nil && sequence > 0 {
		return Point{Version: events.Version{Sequence: sequence}}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return Point{Time: t}, nil
	}
	if d, err := parseAgo(s); err == nil && d > 0 {
		return Point{Time: now.Add(-d)}, nil
	}
	if v, err := events.ParseVersion(s); err == nil {
		return Point{Version: v}, nil
	}
	return Point{}, fmt.Errorf("%q is no point in time: give an RFC 3339 time (2026-11-01T12:00:00Z), a duration ago (2h), or a version (incarnation/sequence, or a sequence)", s)
}

// parseAgo reads a duration; in front days too, which [time.ParseDuration] does not know.
func parseAgo(s string) (time.Duration, error) {
	s = strings.TrimSpace(strings.TrimSuffix(s, "ago"))
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	d := time.Duration(n) * 24 * time.Hour
	if err != nil || rest == "" {
		return d, err
	}
	more, err := time.ParseDuration(rest)
	return d + more, err
}

// At is the version at a point: that of the last event observed by then. The
// error says from when on the log is there.
func (h *History) At(ctx context.Context, p Point) (events.Version, error) {
	info, err := h.events.Info(ctx)
	if err != nil {
		return events.Version{}, fmt.Errorf("read EVENTS: %w", err)
	}
	v := events.Version{Incarnation: info.Incarnation, Sequence: info.Last}
	switch {
	case info.Last == 0:
		return v, errors.New("the log is empty")
	case !p.Time.IsZero():
		v.Sequence, err = h.lastBy(ctx, p.Time, info)
		return v, err
	case p.Version.IsZero():
		return v, nil
	case p.Version.Incarnation != "" && p.Version.Incarnation != info.Incarnation:
		return p.Version, nil // an earlier incarnation: SNAPSHOTS may still have it
	}
	v.Sequence = p.Version.Sequence
	if v.Sequence > info.Last {
		return v, fmt.Errorf("there is no version %d yet: the log ends at %d", v.Sequence, info.Last)
	}
	if v.Sequence < info.First {
		return v, h.tooEarly(ctx, info)
	}
	return v, nil
}

// lastBy finds the last event observed by t by bisection; 0 and an error where
// the log begins later, or where t comes twice because clocks disagree.
func (h *History) lastBy(ctx context.Context, t time.Time, info events.StreamInfo) (uint64, error) {
	seen := clocks{}
	first, end := info.First, info.Last+1 // all before first are by t, none from end on
	for first < end {
		middle := first + (end-first)/2
		at, err := h.timeOf(ctx, middle)
		if err != nil {
			return 0, fmt.Errorf("find %s in EVENTS: %w", t.Format(time.RFC3339), err)
		}
		seen[middle] = at
		if at.After(t) {
			end = middle
		} else {
			first = middle + 1
		}
	}
	if err := h.around(ctx, first, info, seen); err != nil {
		return 0, fmt.Errorf("find %s in EVENTS: %w", t.Format(time.RFC3339), err)
	}
	if err := seen.disagree(t); err != nil {
		return 0, err
	}
	if first == info.First {
		return 0, h.tooEarly(ctx, info)
	}
	return first - 1, nil
}

func (h *History) tooEarly(ctx context.Context, info events.StreamInfo) error {
	at, err := h.timeOf(ctx, info.First)
	if err != nil {
		return fmt.Errorf("read EVENTS: %w", err)
	}
	return fmt.Errorf("the log begins at %s (version %d); %w", at.Format(time.RFC3339), info.First, errTooEarly)
}

// Range is the first and the last sequence after since and up to until; 0 is no
// bound. A since ahead of the log is none.
func (h *History) Range(ctx context.Context, since, until Point) (from, last uint64, err error) {
	if since != (Point{}) {
		switch v, err := h.At(ctx, since); {
		case errors.Is(err, errTooEarly):
		case err != nil:
			return 0, 0, err
		default:
			from = v.Sequence + 1
			if since.Time.IsZero() {
				from = v.Sequence // a version is itself of interest
			}
		}
	}
	if until != (Point{}) {
		v, err := h.At(ctx, until)
		if err != nil {
			return 0, 0, err
		}
		last = v.Sequence
	}
	return from, last, nil
}

// errTooEarly is that of a point ahead of the log.
var errTooEarly = errors.New("it knows nothing of the time before: give a later one")

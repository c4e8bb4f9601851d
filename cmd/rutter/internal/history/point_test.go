package history_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
)

func TestATimeIsWrittenInManyWays(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]history.Point{
		"": {}, "now": {},
		"2026-11-24T11:00:00+01:00": {Time: now.Add(-2 * time.Hour)},
		"2h":                        {Time: now.Add(-2 * time.Hour)}, "2h ago": {Time: now.Add(-2 * time.Hour)}, " 2h  ago ": {Time: now.Add(-2 * time.Hour)},
		"2h30m ago": {Time: now.Add(-150 * time.Minute)}, "90s": {Time: now.Add(-90 * time.Second)},
		"3d": {Time: now.Add(-72 * time.Hour)}, "3d ago": {Time: now.Add(-72 * time.Hour)}, "1d12h ago": {Time: now.Add(-36 * time.Hour)},
		"17": {Version: events.Version{Sequence: 17}}, "ABC/17": {Version: events.Version{Incarnation: "ABC", Sequence: 17}},
	} {
		if got, err := history.ParsePoint(text, now); err != nil || !got.Time.Equal(want.Time) || got.Version != want.Version {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "0", "-2h", "2", "2 h", "d", "3d2", "-1d", "2026-11-24", "ABC/", "/3"} {
		if got, err := history.ParsePoint(text, now); text != "2" && err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

// A clock that was set back, or a holder whose clock is behind: the times between are
// passed twice, and no guess is made which is meant.
func TestATimeThatIsPassedTwiceIsNoPlaceInTheLog(t *testing.T) {
	w := newWorld(t)
	began := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var times []time.Time
	for i := range 500 {
		times = append(times, began.Add(time.Duration(i)*time.Minute))
	}
	for i := range 500 { // an hour back
		times = append(times, times[499].Add(-time.Hour+time.Duration(i)*time.Minute))
	}
	times = append(times, times[999].Add(-500*time.Millisecond)) // that is no matter
	for i, at := range times {
		w.recordAt(at, i)
	}
	h := w.open()
	for i, at := range times {
		v, err := h.At(t.Context(), history.Point{Time: at})
		twice := i != 499 && i >= 439 && i < 560
		switch {
		case twice && (err == nil || !strings.Contains(err.Error(), "clocks disagree") || !strings.Contains(err.Error(), "give a version instead, such as ")):
			t.Fatalf("event %d of %s: got %v, %v", i+1, at, v, err)
		case !twice && i != 499 && i < 999 && (err != nil || v.Sequence != uint64(i+1)):
			t.Fatalf("event %d of %s: got %v, %v", i+1, at, v, err)
		case i >= 999 && err != nil:
			t.Fatalf("event %d of %s: %v", i+1, at, err)
		}
	}
	_, err := h.At(t.Context(), history.Point{Time: times[500].Add(time.Minute)})
	want := fmt.Sprintf("clocks disagree: the log passes %s twice, event 500 is of %s and event 501, recorded after it, of %s; give a version instead, such as 501",
		times[501].Format(time.RFC3339), times[499].Format(time.RFC3339), times[500].Format(time.RFC3339))
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAVersionThatRetentionDroppedNamesTheOldestThatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish(w.record(1))
		w.publish(w.record(2))
		w.checkpoint()
		w.keepAMinute(events.StreamSnapshots)
		<-time.After(time.Hour)
		h := w.open()
		v, err := h.At(t.Context(), history.Point{Version: events.Version{Sequence: 1}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.State(t.Context(), v)
		if want := fmt.Sprintf("what was published at %s is no longer kept; the oldest version that is: %s/2 of ", v, v.Incarnation); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	})
}

// keepAMinute has retention remove from a stream what is older than a minute.
func (w *world) keepAMinute(stream string) {
	w.t.Helper()
	for _, c := range events.Streams(1) {
		if c.Name != stream {
			continue
		}
		c.MaxAge = time.Minute
		if _, err := w.log.Stream(w.t.Context(), c); err != nil {
			w.t.Fatal(err)
		}
	}
}

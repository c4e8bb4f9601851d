package natslog

import (
	"errors"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

func TestFullDiskRefusesAppendsAndTheWriterStaysUsable(t *testing.T) {
	l := start(t, t.TempDir())
	s, w := take(t, l)
	bucket, err := l.Bucket(t.Context(), "checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	room := l.room
	l.room = func(int) error { return room(1 << 60) } // as if something else had filled the disk

	for size := range 10 {
		batch := make([]events.Message, size+1)
		for i := range batch {
			batch[i] = message(i, 10)
		}
		if last, err := w.Append(t.Context(), batch...); !errors.Is(err, events.ErrFull) || !strings.Contains(err.Error(), "bytes left") || last != 1 {
			t.Errorf("append at %d: %v", last, err)
		}
	}
	if err := bucket.Put(t.Context(), "x", nil); !errors.Is(err, events.ErrFull) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Acquire(t.Context(), lease("b")); !errors.Is(err, events.ErrFull) {
		t.Errorf("acquire: %v", err)
	}
	l.room = room
	if _, err := w.Append(t.Context(), message(0, 10), message(1, 10)); err != nil {
		t.Fatal(err)
	}
	wantMessages(t, s, 2, 10)
}

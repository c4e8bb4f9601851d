package natslog

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// Why a writer has one append under way at a time: of two that are under way with
// predicted sequences, the second is let through when a guard took the place of
// the first. If JetStream ever refuses it, appends can be pipelined.
func TestPredictedSequencesAloneDoNotFence(t *testing.T) {
	l := start(t, t.TempDir())
	s, old := take(t, l)
	last, err := old.Append(t.Context(), message(0, 10))
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.Acquire(t.Context(), lease("next"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close(t.Context())
	if _, err := l.js.PublishMsg(t.Context(), encode(message(1, 10), ""), jetstream.WithExpectLastSequence(last)); err == nil {
		t.Error("the first append of the old epoch was let through")
	}
	if _, err := l.js.PublishMsg(t.Context(), encode(message(2, 10), ""), jetstream.WithExpectLastSequence(last+1)); err != nil {
		t.Errorf("the second append of the old epoch was refused: %v", err)
	}
}

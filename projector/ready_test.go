package projector_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// The listings are complete long before the end of what was recorded.
func TestItIsReadyOnceWhatWasRecordedIsFolded(t *testing.T) {
	r := newRig(t)
	r.list()
	half := int(r.last)
	r.route("a", "web")
	goOn := make(chan struct{})
	r.events = &halting{r.events, half, goOn}
	stop := r.project(0)
	defer stop()
	gwtest.Eventually(t, "half of it is folded", func() error {
		if err := r.service.Ready(); err == nil || !strings.Contains(err.Error(), "folding what was recorded before the start") {
			return fmt.Errorf("it says %w", err)
		}
		if got := gwtest.Metric(t, r.registry, "rutter_projector_step_duration_seconds", "step=fold"); got != 1 {
			return fmt.Errorf("%v batches are folded", got)
		}
		return nil
	})
	close(goOn)
	gwtest.Eventually(t, "it is ready", r.service.Ready)
	r.reach(r.last)
}

// halting is a stream whose readers stop in the middle until they may go on.
type halting struct {
	events.Stream
	after int
	goOn  <-chan struct{}
}

func (h *halting) Reader(from uint64) events.Reader {
	return &haltingReader{Reader: h.Stream.Reader(from), left: h.after, goOn: h.goOn}
}

type haltingReader struct {
	events.Reader
	left int
	rest []events.Message
	goOn <-chan struct{}
}

func (h *haltingReader) Next(ctx context.Context) ([]events.Message, error) {
	if rest := h.rest; len(rest) > 0 {
		select {
		case <-h.goOn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		h.rest = nil
		return rest, nil
	}
	batch, err := h.Reader.Next(ctx)
	if n := min(h.left, len(batch)); n > 0 {
		h.left -= n
		batch, h.rest = batch[:n], batch[n:]
	}
	return batch, err
}

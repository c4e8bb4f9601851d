package standalone

import (
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// seen is a view on which the first version, of one Gateway, has been printed.
func seen(t *testing.T) *view {
	t.Helper()
	v := newView()
	v.state = nil
	if err := v.take([]*routing.Snapshot{version(1, false)}); err != nil {
		t.Fatal(err)
	}
	v.waiting = nil
	return v
}

func version(sequence uint64, deleted bool) *routing.Snapshot {
	return &routing.Snapshot{
		Version: events.Version{Incarnation: "I", Sequence: sequence}, Previous: events.Version{Incarnation: "I", Sequence: sequence - 1},
		Gateways: []routing.GatewayDelta{{Gateway: "default/gw", Deleted: deleted}},
	}
}

func TestAVersionThatNoEnvoyIsLeftForIsToldAtOnce(t *testing.T) {
	var out strings.Builder
	s, v := newScreen(Config{Out: &out}, nil), seen(t)
	if err := v.take([]*routing.Snapshot{version(2, false)}); err != nil {
		t.Fatal(err)
	}
	if err := s.advance(t.Context(), v); err != nil || out.Len() > 0 {
		t.Fatalf("told before the Envoy has it: %q, %v", out.String(), err)
	}
	if err := v.take([]*routing.Snapshot{version(3, true)}); err != nil {
		t.Fatal(err)
	}
	if err := s.advance(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "version 3  start  →  default/gw: no longer served\n") || strings.Contains(got, "Envoy had it") {
		t.Errorf("told %q", got)
	}
}

func TestVersionsThatNoEnvoyComesForAreBounded(t *testing.T) {
	v := seen(t)
	for sequence := range uint64(2 * mostWaiting) {
		if err := v.take([]*routing.Snapshot{version(sequence+2, false)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(v.waiting); n != mostWaiting || v.waiting[n-1].version.Sequence != 2*mostWaiting+1 {
		t.Errorf("%d versions wait, the last is %v", n, v.waiting[n-1].version)
	}
}

package process_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/internal/process"
)

func TestLagIsHowManyMessagesAreNotReadAndHowOldTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Config{})
		defer log.Close()
		stream, err := log.Stream(t.Context(), events.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
		if err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewRegistry()
		lag, err := process.NewLag(registry, "tester")
		if err != nil {
			t.Fatal(err)
		}
		read := uint64(0)
		measure := func() (messages, seconds float64) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // once
			lag.Measure(ctx, "S", alive{stream}, func() uint64 { return read })
			return value(t, registry, "rutter_tester_lag_messages"), value(t, registry, "rutter_tester_lag_seconds")
		}
		if messages, seconds := measure(); messages != 0 || seconds != 0 {
			t.Errorf("%v messages of %v s before there is any", messages, seconds)
		}
		for range 3 {
			if _, err := stream.Publish(t.Context(), events.Message{Subject: "s.x"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		for _, test := range []struct {
			read              uint64
			messages, seconds float64
		}{{0, 3, 30}, {1, 2, 20}, {3, 0, 0}} {
			read = test.read
			if messages, seconds := measure(); messages != test.messages || seconds != test.seconds {
				t.Errorf("with %d of 3 read, %v messages of %v s are not, want %v of %v s", read, messages, seconds, test.messages, test.seconds)
			}
		}
	})
}

// alive is a stream that answers also when whoever asks has ended.
type alive struct{ process.Measured }

func (a alive) Info(ctx context.Context) (events.StreamInfo, error) {
	return a.Measured.Info(context.WithoutCancel(ctx))
}

func (a alive) Get(ctx context.Context, sequence uint64) (events.Message, error) {
	return a.Measured.Get(context.WithoutCancel(ctx), sequence)
}

func value(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

package process

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
)

// lagEvery is how often a reader is compared with the end of its stream.
const lagEvery = 5 * time.Second

// Measured is a stream of which the end is known. [events.Stream] is one.
type Measured interface {
	Info(ctx context.Context) (events.StreamInfo, error)
	Get(ctx context.Context, sequence uint64) (events.Message, error)
}

// Lag tells in metrics how far a service is behind the streams that it reads.
type Lag struct {
	messages, seconds *prometheus.GaugeVec
}

// NewLag registers rutter_<service>_lag_messages and _lag_seconds, by stream.
func NewLag(registerer prometheus.Registerer, service string) (*Lag, error) {
	l := &Lag{
		messages: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_" + service + "_lag_messages", Help: "Messages of a stream that are recorded and not read.",
		}, []string{"stream"}),
		seconds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rutter_" + service + "_lag_seconds", Help: "Age of the oldest message of a stream that is recorded and not read; 0 when there is none.",
		}, []string{"stream"}),
	}
	return l, errors.Join(registerer.Register(l.messages), registerer.Register(l.seconds))
}

// Measure compares the last sequence read with the end of a stream until ctx
// ends. While the log does not answer the last figures stay: the reader says what
// is wrong with it.
func (l *Lag) Measure(ctx context.Context, name string, stream Measured, read func() uint64) {
	ticker := time.NewTicker(lagEvery)
	defer ticker.Stop()
	for {
		l.measure(ctx, name, stream, read())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (l *Lag) measure(ctx context.Context, name string, stream Measured, read uint64) {
	info, err := stream.Info(ctx)
	if err != nil {
		return
	}
	messages, age := uint64(0), time.Duration(0)
	if info.Last > read {
		messages = info.Last - read
		if m, err := stream.Get(ctx, max(read+1, info.First)); err == nil {
			age = time.Since(m.Stored)
		}
	}
	l.messages.WithLabelValues(name).Set(float64(messages))
	l.seconds.WithLabelValues(name).Set(age.Seconds())
}

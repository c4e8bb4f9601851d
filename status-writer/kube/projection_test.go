package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	statuswriter "github.com/rutter-gateway/rutter/status-writer"
)

// projection is the log as a projector and an xDS server write it.
type projection struct {
	*rig
	snapshots, receipts events.Stream
	bucket              events.Bucket
	log                 *memlog.Log

	mu    sync.Mutex
	state *routing.State
}

func (r *rig) projection() *projection {
	r.Helper()
	p := &projection{rig: r, state: routing.NewState(), log: memlog.New(memlog.Config{})}
	r.Cleanup(p.log.Close)
	for _, c := range events.Streams(1) {
		stream, err := p.log.Stream(context.Background(), c)
		r.must(err)
		switch c.Name {
		case events.StreamSnapshots:
			p.snapshots = stream
		case events.StreamReceipts:
			p.receipts = stream
		}
	}
	var err error
	p.bucket, err = p.log.Bucket(context.Background(), routing.CheckpointBucket)
	r.must(err)
	return p
}

func version(sequence uint64) events.Version {
	return events.Version{Incarnation: "i", Sequence: sequence}
}

// publish appends a version in which these verdicts changed, and those of gone went.
func (p *projection) publish(gone []events.Key, verdicts ...routing.Verdict) uint64 {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	sequence := p.state.Version.Sequence + 1
	s := &routing.Snapshot{Version: version(sequence), Previous: p.state.Version, Gone: gone, VerdictDigest: p.state.VerdictDigest}
	for _, v := range verdicts {
		v.Since = sequence
		s.Verdicts = append(s.Verdicts, v)
		if old, ok := p.state.Verdicts[v.Object]; ok {
			s.VerdictDigest = s.VerdictDigest.Sub(old.Digest())
		}
		s.VerdictDigest = s.VerdictDigest.Add(v.Digest())
	}
	for _, key := range gone {
		s.VerdictDigest = s.VerdictDigest.Sub(p.state.Verdicts[key].Digest())
	}
	messages, err := routing.EncodeSnapshot("local", s, 1<<20)
	if err == nil {
		_, err = p.snapshots.Publish(context.Background(), messages...)
	}
	p.must(errors.Join(err, p.state.Apply(s)))
	return sequence
}

// report says that one Envoy of each Gateway holds a version.
func (p *projection) report(sequence uint64, gateways ...string) {
	p.Helper()
	r := &routing.Receipt{Server: "xds"}
	for _, g := range gateways {
		r.Envoys = append(r.Envoys, routing.EnvoyReceipt{Node: g, Gateway: "default/" + g, Held: version(sequence)})
	}
	m, err := routing.EncodeReceipt("local", r)
	if err == nil {
		_, err = p.receipts.Publish(context.Background(), m)
	}
	p.must(err)
}

// write runs a status-writer on statuses until the test ends or stop is called.
func (p *projection) write(s *Statuses) (registry *prometheus.Registry, stop func()) {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	follower, err := routing.Follow(ctx, p.snapshots, p.bucket)
	p.must(err)
	registry = prometheus.NewRegistry()
	service, err := statuswriter.New(statuswriter.Config{
		Snapshots: follower, Receipts: p.receipts.Reader(0), Applier: s, ControllerName: controller,
		Logger: slog.New(slog.NewTextHandler(p.Output(), nil)), Registerer: registry,
	})
	p.must(err)
	var running sync.WaitGroup
	running.Go(func() {
		if err := service.Run(ctx); err != nil {
			p.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	p.Cleanup(stop)
	return registry, stop
}

// writes is how many statuses of a resource were written.
func writes(t testing.TB, registry *prometheus.Registry, resource string) int {
	t.Helper()
	return int(gwtest.Metric(t, registry, "rutter_status_writes_total", "resource="+resource))
}

// programmed tells whether a route says so of its generation, for each of n parents.
func (r *rig) programmed(name string, n int) error {
	o := r.get(routeKey(name))
	s, err := decode(routeKey(name), newEntry(o))
	if err != nil || s.Route == nil || len(s.Route.Parents) != n {
		return fmt.Errorf("%s: %s %w", name, o.Status, err)
	}
	for _, p := range s.Route.Parents {
		for _, c := range p.Conditions {
			if c.Status != "True" || c.ObservedGeneration != o.Generation {
				return fmt.Errorf("%s of generation %d: %s", name, o.Generation, o.Status)
			}
		}
	}
	return nil
}

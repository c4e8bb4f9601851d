package ingest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// refusals turns what Envoys refused into verdicts, each once.
type refusals struct {
	cluster string
	judged  map[refused]bool
}

type refused struct {
	gateway string
	routing.ResourceName
	digest routing.Digest
}

// maxJudged bounds what is remembered; a verdict that is recorded twice does no harm.
const maxJudged = 10_000

// events are the verdicts that a receipt gives rise to. None is given on what says
// nothing about the resource: an address that cannot be bound just now, endpoints
// (which are not made from configuration), and what is too large to fall back from.
func (r *refusals) events(receipt *routing.Receipt) []events.Event {
	var out []events.Event
	for _, envoy := range receipt.Envoys {
		for _, refusal := range envoy.Refused {
			id := refused{envoy.Gateway, refusal.ResourceName, refusal.Digest}
			if r.judged[id] || refusal.Large || refusal.Origin.Resource == events.EndpointSlices || strings.Contains(refusal.Reason, "cannot bind") {
				continue
			}
			if len(r.judged) >= maxJudged {
				clear(r.judged)
			}
			r.judged[id] = true
			out = append(out, r.verdict(receipt, envoy.Gateway, refusal))
		}
	}
	return out
}

func (r *refusals) verdict(receipt *routing.Receipt, gateway string, refusal routing.Refusal) events.Event {
	key := refusal.Origin
	if key.Name == "" {
		namespace, name, _ := strings.Cut(gateway, "/")
		key = events.Key{Resource: events.Gateways, Namespace: namespace, Name: name}
	}
	return events.Event{
		ID: fmt.Sprintf("verdict/%s/%s", gateway, refusal.Digest), Type: events.TypeVerdict, Cluster: r.cluster, Key: key, Time: receipt.Time,
		Data: mustJSON(events.Verdict{
			Gateway: gateway, Type: refusal.Type, Name: refusal.Name, Digest: refusal.Digest.String(), Reason: refusal.Reason,
			LastGood: refusal.LastGood, LastSealed: refusal.LastSealed,
		}),
	}
}

// judge turns receipts into verdicts until ctx ends. A log that cannot be read
// is tried again: configuration is recorded meanwhile.
func (s *Service) judge(ctx context.Context, to *inbox) {
	if s.Receipts == nil {
		return
	}
	r := &refusals{cluster: s.Cluster, judged: map[refused]bool{}}
	for ctx.Err() == nil {
		err := watchReceipts(ctx, s.Receipts, func(receipt *routing.Receipt) { to.put(r.events(receipt)) })
		if ctx.Err() != nil {
			return
		}
		s.Logger.Warn("receipts cannot be read", "stream", events.StreamReceipts, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

// inbox holds verdicts, and what RoutingPins name, until the goroutine that records comes by, and calls it.
type inbox struct {
	mu        sync.Mutex
	pending   []events.Event
	interrupt func()
}

func (b *inbox) put(list []events.Event) {
	if len(list) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = append(b.pending, list...)
	if b.interrupt != nil {
		b.interrupt()
	}
}

// interruptible ends when something is put in.
func (b *inbox) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.interrupt = cancel
	if len(b.pending) > 0 {
		cancel()
	}
	return ctx, cancel
}

func (b *inbox) take() []events.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.pending
	b.pending = nil
	return list
}

// watchReceipts hands the receipts from now on to each, until ctx ends.
func watchReceipts(ctx context.Context, stream events.Stream, each func(*routing.Receipt)) error {
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("open RECEIPTS: %w", err)
	}
	reader := stream.Reader(info.Last + 1)
	defer reader.Close()
	for {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read RECEIPTS: %w", err)
		}
		for _, m := range messages {
			receipt, err := routing.DecodeReceipt(m)
			if err != nil {
				return err
			}
			each(receipt)
		}
	}
}

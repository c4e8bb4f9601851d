package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/internal/process"
)

// A RoutingPin is recorded like any other object. What it puts in force is in SNAPSHOTS,
// which the fold does not read and which forgets. So it is read there once, and recorded
// beside the RoutingPin; or why it cannot be had. Which RoutingPins still ask is known
// from the log: whoever has the lease goes on with them.

// pins reads what RoutingPins ask for, on a goroutine of its own: that can take seconds,
// and recording goes on meanwhile.
type pins struct {
	asked    map[events.Key]index.Pin
	requests chan pinRequest
}

type pinRequest struct {
	key        events.Key
	generation int64
	pin        index.Pin
}

// maxAsked is how many may wait; the others are asked for when there is room.
const maxAsked = 64

func newPins() *pins {
	return &pins{asked: map[events.Key]index.Pin{}, requests: make(chan pinRequest, maxAsked)}
}

// ask hands on what is not recorded yet, each once.
func (p *pins) ask(x *index.Index) {
	before := p.asked
	p.asked = map[events.Key]index.Pin{} // those that were answered may ask again
	for _, key := range x.Asked() {
		entry := x.Entries[key]
		pin := *entry.Pin
		if before[key] == pin {
			p.asked[key] = pin
			continue
		}
		select {
		case p.requests <- pinRequest{key, entry.Generation, pin}:
			p.asked[key] = pin
		default: // asked for later
		}
	}
}

// keepPinned reads what is asked for until ctx ends. A log that cannot be read is tried
// again.
func (s *Service) keepPinned(ctx context.Context, p *pins, to *inbox) {
	for {
		select {
		case <-ctx.Done():
			return
		case request := <-p.requests:
			for retryCount := 1; ctx.Err() == nil; retryCount++ {
				list, err := s.pinned(ctx, request)
				if err == nil {
					to.put(list)
					break
				}
				s.Logger.Warn("what a RoutingPin names cannot be read; trying again", process.About(request.key, request.generation, retryCount),
					slog.String("stream", events.StreamSnapshots), slog.Any("error", err))
				select {
				case <-ctx.Done():
				case <-time.After(retryAfter):
				}
			}
		}
	}
}

// pinned are the events that answer a request.
func (s *Service) pinned(ctx context.Context, request pinRequest) ([]events.Event, error) {
	head := events.PinnedRouting{Gateway: request.pin.Gateway, Version: request.pin.Version, Digest: request.pin.Digest}
	content, problem, err := s.published(ctx, head)
	if err != nil {
		return nil, err
	}
	parts := []events.PinnedRouting{head}
	if parts[0].Problem = problem; problem == nil {
		head.Secrets = routing.Certificates(content.Gateways[0].Changed)
		if parts, err = routing.EncodePinned(head, content, min(pinnedBytes, s.events.maxData)); err != nil {
			return nil, err
		}
	}
	list := make([]events.Event, 0, len(parts))
	now := s.Now().UTC()
	for i, part := range parts {
		list = append(list, events.Event{
			ID:   fmt.Sprintf("pinned/%s/%d/%d", request.key, now.UnixNano(), i),
			Type: events.TypePinned, Cluster: s.Cluster, Key: request.key, Time: now, Data: mustJSON(part),
		})
	}
	return list, nil
}

// pinnedBytes is how much goes into one event, where the log takes that much.
const pinnedBytes = 512 << 10

// published is what was published for the Gateway of a RoutingPin in the version that it
// names, or why that cannot be put in force.
func (s *Service) published(ctx context.Context, head events.PinnedRouting) (*routing.Snapshot, *events.PinProblem, error) {
	problem := func(reason, format string, args ...any) (*routing.Snapshot, *events.PinProblem, error) {
		return nil, &events.PinProblem{Reason: reason, Message: fmt.Sprintf(format, args...)}, nil
	}
	version, err := events.ParseVersion(head.Version)
	if err != nil {
		return problem(events.ReasonVersionUnknown, "The version %q is not of the form incarnation/sequence.", head.Version)
	}
	follower, err := routing.FollowAt(ctx, s.Snapshots, s.Versions, version)
	if err != nil {
		return nil, nil, err
	}
	defer follower.Close()
	state, err := follower.LoadAt(ctx, version)
	switch {
	case errors.Is(err, events.ErrGap), errors.Is(err, routing.ErrOutOfStep):
		return problem(events.ReasonVersionNotKept, "What was published at %s is no longer kept.", head.Version)
	case err != nil:
		return nil, nil, err
	case state.Version != version:
		return problem(events.ReasonVersionUnknown, "No version %s was ever published, or it is no longer kept.", head.Version)
	}
	content := routing.Pinned(state, head.Gateway)
	switch {
	case content == nil:
		return problem(events.ReasonGatewayUnknown, "Nothing was published for the Gateway %s at %s.", head.Gateway, head.Version)
	case content.Gateways[0].Digest.String() != head.Digest:
		return problem(events.ReasonDigestDiffers, "What was published for the Gateway %s at %s has the digest %s.", head.Gateway, head.Version, content.Gateways[0].Digest)
	}
	return content, nil, nil
}

package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// patience is how long an Envoy that is behind may say nothing before it is sent
// the changes that wait, merged. Some answers are late by design: Envoy delays
// those about clusters until new clusters are warm.
const patience = 100 * time.Millisecond

// maxNodeName bounds node.id and node.cluster, in bytes.
const maxNodeName = 512

type deltaStream = grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]

// DeltaAggregatedResources serves one Envoy until its stream ends.
func (s *Server) DeltaAggregatedResources(stream deltaStream) error {
	if s.active.Add(1) > int64(s.MaxStreams) {
		s.active.Add(-1)
		s.metrics.refusedStreams.WithLabelValues("full").Inc()
		return status.Errorf(codes.ResourceExhausted, "this xDS server serves %d streams already", s.MaxStreams)
	}
	defer s.active.Add(-1)

	requests := s.receive(stream)
	first, ok := <-requests
	if !ok {
		return nil
	}
	if first.err != nil {
		return ended(first.err)
	}
	node := first.request.GetNode()
	if err := s.admit(stream.Context(), node); err != nil {
		return err
	}
	session := &session{
		Server:  s,
		stream:  stream,
		id:      s.streams.Add(1),
		gateway: node.GetCluster(),
		client:  newClient(func() time.Time { return time.Now().UTC() }),
		receipt: routing.EnvoyReceipt{Node: node.GetId(), Gateway: node.GetCluster(), Connected: time.Now().UTC()},
	}
	session.logger = s.Logger.With(slog.String("name", node.GetCluster()), slog.String("node", node.GetId()))
	return session.run(stream.Context(), first.request, requests)
}

// admit tells why a stream is not served.
func (s *Server) admit(ctx context.Context, node *corev3.Node) error {
	reason, err := "node", checkNode(node)
	if err == nil {
		reason, err = "identity", checkIdentity(ctx, node.GetCluster())
	}
	if err != nil {
		s.metrics.refusedStreams.WithLabelValues(reason).Inc()
		s.Logger.Warn("stream refused", slog.String("name", node.GetCluster()), slog.String("node", node.GetId()), slog.Any("error", err))
	}
	return err
}

// checkNode: node.cluster names the Gateway, node.id the Envoy.
func checkNode(node *corev3.Node) error {
	for _, name := range []string{node.GetId(), node.GetCluster()} {
		if name == "" || len(name) > maxNodeName {
			return status.Errorf(codes.InvalidArgument,
				"the first request must carry node.id and node.cluster (namespace/name of the Gateway), each of 1 to %d bytes", maxNodeName)
		}
	}
	return nil
}

type received struct {
	request *discoveryv3.DeltaDiscoveryRequest
	err     error
}

// receive hands out the requests of a stream, one at a time, and then the error
// that ended it.
func (s *Server) receive(stream deltaStream) <-chan received {
	out := make(chan received)
	s.receivers.Go(func() {
		defer close(out)
		for {
			request, err := stream.Recv()
			select {
			case out <- received{request, err}:
			case <-stream.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return out
}

// session is one stream with its client.
type session struct {
	*Server
	stream  deltaStream
	id      uint64
	gateway string
	client  *client
	receipt routing.EnvoyReceipt
	logger  *slog.Logger
}

func (s *session) run(ctx context.Context, request *discoveryv3.DeltaDiscoveryRequest, requests <-chan received) error {
	s.Store.Attach(s.gateway)
	defer s.Store.Detach(s.gateway)
	s.metrics.connect(s.gateway, 1)
	defer s.metrics.connect(s.gateway, -1)
	s.Ledger.Set(s.id, s.receipt, true)
	defer s.Ledger.Remove(s.id)
	s.logger.Info("envoy connected")
	defer s.logger.Info("envoy disconnected")

	impatient := false
	for {
		changed := s.Store.Changed()
		if err := s.advance(request, impatient); err != nil {
			return err
		}
		request, impatient = nil, false
		var late <-chan time.Time
		if s.client.waiting {
			late = time.After(patience)
		}
		select {
		case r, ok := <-requests:
			if !ok {
				return nil
			}
			if r.err != nil {
				return ended(r.err)
			}
			request = r.request
		case <-changed:
		case <-late:
			impatient = true
		case <-ctx.Done():
			return nil
		}
	}
}

// ended is nil where Envoy went away; otherwise the reason why it was made to go.
func ended(err error) error {
	if code := status.Code(err); errors.Is(err, io.EOF) || code == codes.Canceled || code == codes.Unavailable {
		return nil
	}
	return fmt.Errorf("receive request: %w", err)
}

// advance does one step of the protocol.
func (s *session) advance(request *discoveryv3.DeltaDiscoveryRequest, impatient bool) error {
	var responses []*response
	var err error
	s.Store.Read(s.gateway, func(now *store.Reading) {
		responses, err = s.client.step(now, request, impatient)
	})
	if err != nil {
		s.logger.Warn("stream ended by the server", slog.Any("error", err))
		return err
	}
	s.count()
	for _, r := range responses {
		message := s.encode(r)
		if err := s.stream.Send(message); err != nil {
			return ended(err)
		}
		s.metrics.sent(r.typ, proto.Size(message))
	}
	s.report()
	return nil
}

// encode makes the bytes of a response. A secret whose key cannot be unsealed is
// left out, so that what Envoy has stays in force.
func (s *session) encode(r *response) *discoveryv3.DeltaDiscoveryResponse {
	out := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl:          r.typ,
		Nonce:            strconv.FormatUint(r.nonce, 10),
		RemovedResources: r.removed,
		Resources:        make([]*discoveryv3.Resource, 0, len(r.resources)),
	}
	for _, resource := range r.resources {
		body, err := s.Keys.Body(resource)
		if err != nil {
			s.client.withhold(resource.Name)
			if said, ok := s.unopened.Swap(resource.Name, resource.Digest); !ok || said != resource.Digest {
				s.metrics.unopened.Inc()
				s.logger.Error("secret cannot be served", process.About(resource.Origin, 0, 0), slog.Any("error", err))
			}
			continue
		}
		out.Resources = append(out.Resources, &discoveryv3.Resource{
			Name:     resource.Name,
			Version:  resource.Version(),
			Resource: &anypb.Any{TypeUrl: r.typ, Value: body},
		})
	}
	return out
}

// report tells the ledger what has changed for this Envoy.
func (s *session) report() {
	now := s.client.receipt()
	exception := !slices.EqualFunc(now.Refused, s.receipt.Refused, func(a, b routing.Refusal) bool {
		return a.ResourceName == b.ResourceName && a.Digest == b.Digest
	})
	if now.Held == s.receipt.Held && !exception {
		return
	}
	before := s.receipt.Held
	s.receipt.Held, s.receipt.HeldAt, s.receipt.Refused = now.Held, now.HeldAt, now.Refused
	s.Ledger.Set(s.id, s.receipt, exception)
	if s.Acknowledged != nil && now.Held != before {
		s.Acknowledged(s.receipt, before)
	}
}

func (s *session) count() {
	for _, typ := range s.client.stats.acks {
		s.metrics.answers.WithLabelValues(short(typ), "ack").Inc()
	}
	for _, typ := range s.client.stats.nacks {
		s.metrics.answers.WithLabelValues(short(typ), "nack").Inc()
	}
}

package simenvoy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// Envoy is one simulated Envoy. Safe for concurrent use.
type Envoy struct {
	mu      sync.Mutex
	proxy   *proxy
	changed chan struct{} // closed at each change
	stop    context.CancelFunc
	done    chan struct{}
	err     error // why the last stream ended
}

// New is an Envoy of a Gateway that was just started. It does nothing before [Envoy.Connect].
func New(node, gateway string) *Envoy {
	return &Envoy{proxy: newProxy(node, gateway), changed: make(chan struct{})}
}

// Refuse makes it refuse every response that holds a resource of which bad is true.
func (e *Envoy) Refuse(bad func(typ, name string, body []byte) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proxy.refuse = bad
}

// Connect opens a stream and begins to follow it; after [Envoy.Disconnect] it
// goes on with what it has.
func (e *Envoy) Connect(ctx context.Context, to grpc.ClientConnInterface) error {
	ctx, stop := context.WithCancel(ctx)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(to).DeltaAggregatedResources(ctx)
	if err != nil {
		stop()
		return fmt.Errorf("open stream: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop, e.done, e.err = stop, make(chan struct{}), nil
	first := e.proxy.connect()
	go e.follow(stream, first, e.done)
	return nil
}

// Disconnect ends the stream and waits until nothing of it runs any more.
func (e *Envoy) Disconnect() {
	e.mu.Lock()
	stop, done := e.stop, e.done
	e.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

func (e *Envoy) follow(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient, requests []*request, done chan struct{}) {
	defer close(done)
	for {
		for _, r := range requests {
			if err := stream.Send(r); err != nil {
				break // Recv says why
			}
		}
		response, err := stream.Recv()
		e.mu.Lock()
		if err != nil {
			e.err = err
		} else {
			requests = e.proxy.handle(response)
		}
		close(e.changed)
		e.changed = make(chan struct{})
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// View is what an Envoy has at one moment.
type View struct {
	// Have is its resources by type and name.
	Have map[string]map[string]Resource
	// Log is the responses so far, of all its streams.
	Log []Response
	// Violations are the moments in which traffic would have met something that
	// was not there.
	Violations []string
	// Err is why its last stream ended; nil while it lives.
	Err error
}

// View is a copy of what it has now.
func (e *Envoy) View() View {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := View{Have: map[string]map[string]Resource{}, Log: slices.Clone(e.proxy.log), Violations: slices.Clone(e.proxy.violations), Err: e.err}
	for typ, resources := range e.proxy.have {
		v.Have[typ] = maps.Clone(resources)
	}
	return v
}

// Await waits until the condition holds.
func (e *Envoy) Await(ctx context.Context, condition func(View) bool) error {
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if condition(e.View()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for Envoy: %w; it has %v", ctx.Err(), e.View())
		}
	}
}

// String lists names and versions, for messages.
func (v View) String() string {
	out := ""
	for _, typ := range slices.Sorted(maps.Keys(v.Have)) {
		out += "\n" + typ + ":"
		for _, name := range slices.Sorted(maps.Keys(v.Have[typ])) {
			out += " " + name + "@" + v.Have[typ][name].Version
		}
	}
	for _, r := range v.Log {
		out += fmt.Sprintf("\n  %s sent %v removed %v refused %v ignored %v", r.Type, r.Sent, r.Removed, r.Refused, r.Ignored)
	}
	return out + fmt.Sprintf("\nerr %v", v.Err)
}

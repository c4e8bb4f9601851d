package serve

import (
	"slices"
	"time"
	"unicode/utf8"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// Bounds of one stream.
const (
	maxTypes   = 32
	maxNames   = 200_000 // subscribed by name
	maxAhead   = 16      // responses that Envoy has not come to yet, beyond which changes wait and merge
	maxOpen    = 4096    // unanswered responses
	maxPayload = 4 << 20 // bytes of resources in one response
	maxReason  = 1 << 10 // bytes of an error detail that are kept
	maxRefused = 100     // refusals that are reported
)

// client is the state of one stream. It does no I/O and is used by one goroutine.
type client struct {
	now func() time.Time

	subscriptions map[string]*subscription
	names         int // subscribed by name, in all types

	// revision is the moment of the store up to which everything that is
	// subscribed was sent.
	revision uint64
	// lastNonce is of the last response sent, answered the highest one that was
	// answered: Envoy has come at least that far.
	lastNonce, answered uint64
	open                int // responses that wait for an answer
	pushes              []*push
	// waiting is set while changes wait for Envoy to catch up.
	waiting bool
	sent    events.Version // the version whose pushes are all settled
	held    events.Version // sent, once every type that it needs was subscribed
	heldAt  time.Time
	refused map[routing.ResourceName]routing.Refusal
	// withheld are secrets that could not be unsealed.
	withheld map[string]bool
	stats    stats
}

// stats counts what happened since the last step.
type stats struct{ acks, nacks []string }

// subscription is what a client wants of one type.
type subscription struct {
	wildcard bool
	names    map[string]bool
	// due is set until the first answer, which is sent even if it is empty.
	due bool
	// all asks for everything of the type, want for these names whatever the
	// client has (absent names are answered as removed).
	all  bool
	want map[string]bool
	// has is what a reconnecting client said it has: name to version.
	has map[string]string
	// unsettled are the responses that are neither acknowledged nor refused, oldest first.
	unsettled []*sentResponse
}

type sentResponse struct {
	nonce uint64
	push  *push
	items []item
}

// item is one resource as it was sent, or a removal.
type item struct {
	name    string
	digest  routing.Digest
	removed bool
}

// push is all that was sent at one version.
type push struct {
	version events.Version
	open    int
}

// response is one answer, before its bytes are made.
type response struct {
	typ       string
	nonce     uint64
	resources []*store.Resource
	removed   []string
}

func newClient(now func() time.Time) *client {
	return &client{
		now:           now,
		subscriptions: map[string]*subscription{},
		refused:       map[routing.ResourceName]routing.Refusal{},
		withheld:      map[string]bool{},
	}
}

// step takes a request in (nil when there is none) and returns what is to be
// sent now, in order. An Envoy that is behind is sent what it asks for, and the
// changes once it has caught up, merged, or when impatient is set. An error ends
// the stream; it is a gRPC status.
func (c *client) step(now *store.Reading, request *discoveryv3.DeltaDiscoveryRequest, impatient bool) ([]*response, error) {
	c.stats = stats{}
	var rejected *sentResponse
	if request != nil {
		sub, err := c.subscribe(now, request)
		if err != nil {
			return nil, err
		}
		rejected = c.settle(sub, request)
	}
	if !now.Ready {
		return nil, nil
	}
	var out []*response
	if rejected != nil {
		out = c.bisect(now, request, rejected)
	}
	c.waiting = c.lastNonce-c.answered >= maxAhead && len(c.pushes) > 0 && !impatient
	p := &push{version: now.Version}
	if c.waiting {
		// Not all of the version is sent, so it is only what was sent before.
		p.version = c.pushes[len(c.pushes)-1].version
	}
	more, err := c.collect(now, p)
	if err != nil {
		return nil, err
	}
	c.record(p)
	c.settlePushes(now)
	if c.open > maxOpen {
		return nil, status.Errorf(codes.Aborted, "more than %d responses are not answered: connect again", maxOpen)
	}
	return append(out, more...), nil
}

// subscribe takes over the names of a request.
func (c *client) subscribe(now *store.Reading, r *discoveryv3.DeltaDiscoveryRequest) (*subscription, error) {
	sub, first := c.subscriptions[r.GetTypeUrl()], false
	if sub == nil {
		if r.GetTypeUrl() == "" || len(c.subscriptions) >= maxTypes {
			return nil, status.Errorf(codes.InvalidArgument, "type URL %q: empty, or more than %d types on one stream", r.GetTypeUrl(), maxTypes)
		}
		sub, first = &subscription{names: map[string]bool{}, want: map[string]bool{}, due: true, has: r.GetInitialResourceVersions()}, true
		c.subscriptions[r.GetTypeUrl()] = sub
		if len(r.GetResourceNamesSubscribe()) == 0 && isWildcard(r.GetTypeUrl()) {
			sub.wildcard, sub.all = true, true
		}
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		c.unsubscribe(r.GetTypeUrl(), sub, name)
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if name == "*" {
			sub.wildcard, sub.all = true, true
			continue
		}
		if !utf8.ValidString(name) {
			return nil, status.Errorf(codes.InvalidArgument, "name %q is not UTF-8", name)
		}
		sub.want[name] = true
		// What clusters of the Gateway ask for is sent anyhow and need not be
		// remembered for each Envoy.
		if !sub.names[name] && !(r.GetTypeUrl() == store.EndpointType && now.Asked(name)) {
			sub.names[name] = true
			c.names++
		}
		if !first {
			delete(sub.has, name)
		}
	}
	if c.names > maxNames || len(sub.want) > maxNames {
		return nil, status.Errorf(codes.ResourceExhausted, "more than %d names are subscribed on one stream", maxNames)
	}
	return sub, nil
}

func (c *client) unsubscribe(typ string, sub *subscription, name string) {
	if name == "*" {
		sub.wildcard, sub.all = false, false
		return
	}
	if sub.names[name] {
		delete(sub.names, name)
		c.names--
	}
	delete(sub.want, name)
	delete(c.refused, routing.ResourceName{Type: typ, Name: name})
	if typ == store.SecretType {
		delete(c.withheld, name)
	}
}

// isWildcard tells for which types a first request without names means "all".
func isWildcard(typ string) bool {
	return typ == store.ClusterType || typ == store.ListenerType || typ == store.ScopeType
}

// interested tells whether the client wants to hear of changes of name.
func (s *subscription) interested(now *store.Reading, typ, name string) bool {
	return s.wildcard && typ != store.EndpointType || s.names[name] || typ == store.EndpointType && now.Asked(name)
}

// record puts a push behind those before. One without responses is as good as
// done as soon as they are.
func (c *client) record(p *push) {
	switch last := len(c.pushes) - 1; {
	case p.open > 0:
		c.pushes = append(c.pushes, p)
	case last >= 0:
		c.pushes[last].version = p.version
	default:
		c.sent = p.version
	}
}

// settlePushes moves what is held up to the newest push before which nothing is
// outstanding, if nothing that it needs is missing.
func (c *client) settlePushes(now *store.Reading) {
	done := 0
	for done < len(c.pushes) && c.pushes[done].open == 0 {
		c.sent = c.pushes[done].version
		done++
	}
	c.pushes = slices.Delete(c.pushes, 0, done)
	unfinished := len(c.pushes) > 0 && c.pushes[0].version == c.sent // more of it was asked for since
	if c.held != c.sent && !unfinished && c.complete(now) {
		c.held, c.heldAt = c.sent, c.now()
	}
}

// complete tells whether the client has subscribed to every type that it needs:
// an Envoy asks for endpoints after it was given clusters, for routes after
// listeners, and for secrets after either. One that refused a cluster or a listener
// may rightly never ask for what these name, and is not waited for.
func (c *client) complete(now *store.Reading) bool {
	if c.subscriptions[store.ClusterType] == nil || c.subscriptions[store.ListenerType] == nil || len(c.withheld) > 0 {
		return false
	}
	needed := []string{store.ScopeType, store.RouteType, store.ExtensionType}
	if !c.refusedAny(store.ClusterType) {
		if now.Has(store.EndpointType) && c.subscriptions[store.EndpointType] == nil {
			return false
		}
		needed = append(needed, store.SecretType)
	}
	if !now.Has(store.ListenerType) || c.refusedAny(store.ListenerType) {
		return true
	}
	return !slices.ContainsFunc(needed, func(typ string) bool {
		return now.Has(typ) && c.subscriptions[typ] == nil
	})
}

func (c *client) refusedAny(typ string) bool {
	for name := range c.refused {
		if name.Type == typ {
			return true
		}
	}
	return false
}

// withhold says that a secret was left out of what step returned.
func (c *client) withhold(name string) { c.withheld[name] = true }

// receipt is what the client holds, for the ledger.
func (c *client) receipt() routing.EnvoyReceipt {
	out := routing.EnvoyReceipt{Held: c.held, HeldAt: c.heldAt}
	for _, r := range c.refused {
		out.Refused = append(out.Refused, r)
	}
	slices.SortFunc(out.Refused, func(a, b routing.Refusal) int { return a.ResourceName.Compare(b.ResourceName) })
	out.Refused = out.Refused[:min(len(out.Refused), maxRefused)]
	return out
}

package serve

import (
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// settle finds the response that a request answers. It returns that response
// when it was refused: only error_detail says so. Envoy answers the responses of
// a type in order, so older ones of the type are settled with it.
func (c *client) settle(sub *subscription, r *discoveryv3.DeltaDiscoveryRequest) (rejected *sentResponse) {
	nonce, err := strconv.ParseUint(r.GetResponseNonce(), 10, 64)
	if err != nil {
		return nil
	}
	at := -1
	for i, s := range sub.unsettled {
		if s.nonce == nonce {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	c.answered = max(c.answered, nonce)
	answered := sub.unsettled[at]
	for _, s := range sub.unsettled[:at+1] {
		s.push.open--
		c.open--
	}
	sub.unsettled = slices.Delete(sub.unsettled, 0, at+1)
	if r.GetErrorDetail() == nil {
		c.stats.acks = append(c.stats.acks, r.GetTypeUrl())
		return nil
	}
	c.stats.nacks = append(c.stats.nacks, r.GetTypeUrl())
	return answered
}

// bisect sends the two halves of a refused response, less what has changed since
// and so is sent anyhow. A resource that was refused alone is the bad one. With
// one bad resource among n, Envoy is sent 2·log2(n) responses, and all good ones
// are in force after at most half of them.
func (c *client) bisect(now *store.Reading, r *discoveryv3.DeltaDiscoveryRequest, rejected *sentResponse) []*response {
	typ := r.GetTypeUrl()
	if len(rejected.items) == 1 {
		c.refuse(now, typ, rejected.items[0], r.GetErrorDetail().GetMessage())
		return nil
	}
	var items []item
	for _, i := range rejected.items {
		if stillSo(now, typ, i) {
			items = append(items, i)
		}
	}
	var out []*response
	half := (len(items) + 1) / 2
	for _, part := range [][]item{items[:half], items[half:]} {
		if len(part) == 0 {
			continue
		}
		again := &response{typ: typ}
		for _, i := range part {
			if i.removed {
				again.removed = append(again.removed, i.name)
			} else {
				again.resources = append(again.resources, now.Get(typ, i.name))
			}
		}
		out = append(out, c.send(rejected.push, again))
		if typ == store.ClusterType {
			out = append(out, c.sendNeeded(now, rejected.push, again.resources)...)
		}
	}
	return out
}

// stillSo tells whether an item is what the store has now.
func stillSo(now *store.Reading, typ string, i item) bool {
	r := now.Get(typ, i.name)
	if i.removed {
		return r == nil
	}
	return r != nil && r.Digest == i.digest
}

// maxLastGood is how large what was served before may be to go into receipts and
// events, in bytes.
const maxLastGood = 256 << 10

// refuse remembers a bad resource until something else of its name is sent.
func (c *client) refuse(now *store.Reading, typ string, i item, reason string) {
	if i.removed || !stillSo(now, typ, i) {
		return
	}
	name := routing.ResourceName{Type: typ, Name: i.name}
	refused := now.Get(typ, i.name)
	lastGood, large := refused.LastGood, false
	if len(lastGood) > maxLastGood {
		lastGood, large = nil, true
	}
	c.refused[name] = routing.Refusal{
		ResourceName: name,
		Digest:       i.digest,
		Reason:       reasonOf(typ, reason),
		Time:         c.now(),
		Origin:       refused.Origin,
		LastGood:     lastGood,
		LastSealed:   refused.LastSealed,
		Large:        large,
	}
}

// send numbers a response and, where its type is subscribed, waits for the
// answer. Envoy answers nothing to a type that it has not subscribed to.
func (c *client) send(p *push, r *response) *response {
	c.lastNonce++
	r.nonce = c.lastNonce
	items := make([]item, 0, len(r.resources)+len(r.removed))
	for _, resource := range r.resources {
		items = append(items, item{name: resource.Name, digest: resource.Digest})
		c.forgive(r.typ, resource.Name)
	}
	for _, name := range r.removed {
		items = append(items, item{name: name, removed: true})
		c.forgive(r.typ, name)
	}
	if sub := c.subscriptions[r.typ]; sub != nil {
		sub.unsettled = append(sub.unsettled, &sentResponse{nonce: r.nonce, push: p, items: items})
		p.open++
		c.open++
	}
	return r
}

// forgive forgets what is known against an earlier resource of that name.
func (c *client) forgive(typ, name string) {
	delete(c.refused, routing.ResourceName{Type: typ, Name: name})
	if typ == store.SecretType {
		delete(c.withheld, name)
	}
}

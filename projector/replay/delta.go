package replay

import (
	"cmp"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// published is what readers hold, by digests: the bytes are in the log.
type published struct {
	version  events.Version
	gateways map[string]*publishedGateway
	verdicts map[events.Key]verdictMark
	sum      routing.Digest
	// round counts the deltas, so that a mark tells whether the present one set it.
	round uint32
}

type publishedGateway struct {
	resources      map[routing.ResourceName]mark
	infrastructure *routing.Infrastructure
	// built is the round that last told about the infrastructure.
	built uint32
	sum   routing.Digest
}

// mark is what tells whether a resource has to be published again. The sealed
// key is compared too: keys sealed to new recipients must reach the servers.
type mark struct {
	digest, sealed routing.Digest
	round          uint32
	at             int32 // in gatewayDelta.changed, in that round; -1 for unchanged
}

type verdictMark struct {
	digest routing.Digest
	round  uint32
}

func newPublished() *published {
	return &published{gateways: map[string]*publishedGateway{}, verdicts: map[events.Key]verdictMark{}}
}

func publishedOf(s *routing.State) *published {
	p := newPublished()
	p.version = s.Version
	for name, g := range s.Gateways {
		pg := &publishedGateway{resources: make(map[routing.ResourceName]mark, len(g.Resources)), infrastructure: g.Infrastructure, sum: g.Digest}
		for resource, r := range g.Resources {
			pg.resources[resource] = mark{digest: r.Digest, sealed: sealedDigest(r)}
		}
		p.gateways[name] = pg
	}
	for key, v := range s.Verdicts {
		p.verdicts[key] = verdictMark{digest: v.Digest()}
	}
	p.sum = s.VerdictDigest
	return p
}

func sealedDigest(r routing.Resource) routing.Digest {
	if len(r.Sealed) == 0 {
		return routing.Digest{}
	}
	return routing.DigestOf(r.Sealed)
}

func (p *published) gateway(name string) *publishedGateway {
	g := p.gateways[name]
	if g == nil {
		g = &publishedGateway{resources: map[routing.ResourceName]mark{}}
		p.gateways[name] = g
	}
	return g
}

func (p *published) content() Content {
	c := Content{Gateways: map[string]routing.Digest{}, Verdicts: p.sum}
	for name, g := range p.gateways {
		c.Gateways[name] = g.sum
	}
	return c
}

// delta collects the differences to what is published, and updates that.
type delta struct {
	p        *published
	gateways map[string]*gatewayDelta
	verdicts []routing.Verdict
	gone     []events.Key
	// stale is what outputs have no more; another may have it now.
	stale []staleResource
}

type staleResource struct {
	gateway string
	name    routing.ResourceName
}

type gatewayDelta struct {
	changed []routing.Resource
	removed map[routing.ResourceName]bool
}

func newDelta(p *published) *delta {
	p.round++
	return &delta{p: p, gateways: map[string]*gatewayDelta{}}
}

func (d *delta) gateway(name string) *gatewayDelta {
	g := d.gateways[name]
	if g == nil {
		g = &gatewayDelta{removed: map[routing.ResourceName]bool{}}
		d.gateways[name] = g
	}
	return g
}

// setServed publishes that a Gateway is served, or no more, whether or not it has
// any resource: its Envoys wait for an answer, and nothing is one.
func (d *delta) setServed(gateway string, served bool) {
	if _, known := d.p.gateways[gateway]; known != served {
		d.p.gateway(gateway)
		d.gateway(gateway)
	}
}

// set publishes a resource unless that is what is published.
func (d *delta) set(gateway string, r routing.Resource) {
	pg := d.p.gateway(gateway)
	next := mark{digest: r.Digest, sealed: sealedDigest(r), round: d.p.round, at: -1}
	old, had := pg.resources[r.ResourceName]
	if had && old.round == d.p.round {
		next.at = old.at
	}
	if !had || old.digest != next.digest || old.sealed != next.sealed {
		if had {
			pg.sum = pg.sum.Sub(r.ResourceName.Member(old.digest))
		}
		pg.sum = pg.sum.Add(r.ResourceName.Member(next.digest))
		g := d.gateway(gateway)
		delete(g.removed, r.ResourceName)
		if next.at < 0 {
			next.at = int32(len(g.changed))
			g.changed = append(g.changed, r)
		} else {
			g.changed[next.at] = r
		}
	}
	pg.resources[r.ResourceName] = next
}

// removeStale comes after all that is set: so what one output took over from another is
// no change where it stays the same.
func (d *delta) removeStale() {
	for _, r := range d.stale {
		d.remove(r.gateway, r.name)
	}
}

// remove takes a resource away, unless another output set it in this delta.
func (d *delta) remove(gateway string, name routing.ResourceName) {
	pg := d.p.gateway(gateway)
	old, had := pg.resources[name]
	if !had || old.round == d.p.round {
		return
	}
	pg.sum = pg.sum.Sub(name.Member(old.digest))
	delete(pg.resources, name)
	d.gateway(gateway).removed[name] = true
}

// setInfrastructure publishes what the Envoys of a Gateway need around them; nil is none.
func (d *delta) setInfrastructure(gateway string, next *routing.Infrastructure) {
	pg := d.p.gateways[gateway]
	if pg == nil && next == nil {
		return
	}
	pg = d.p.gateway(gateway)
	pg.built = d.p.round
	if before, after := pg.infrastructure.Member(), next.Member(); before != after {
		pg.sum = pg.sum.Sub(before).Add(after)
		d.gateway(gateway)
	}
	pg.infrastructure = next
}

func (d *delta) setVerdict(v routing.Verdict) {
	next := verdictMark{digest: v.Digest(), round: d.p.round}
	old, had := d.p.verdicts[v.Object]
	d.p.verdicts[v.Object] = next
	if had && old.digest == next.digest {
		return
	}
	if had {
		d.p.sum = d.p.sum.Sub(old.digest)
	}
	d.p.sum = d.p.sum.Add(next.digest)
	d.verdicts = append(d.verdicts, v)
}

func (d *delta) dropVerdict(key events.Key) {
	old, had := d.p.verdicts[key]
	if !had {
		return
	}
	d.p.sum = d.p.sum.Sub(old.digest)
	delete(d.p.verdicts, key)
	d.gone = append(d.gone, key)
}

// dropUnclaimed removes what was published and a projection from nothing did not set.
func (d *delta) dropUnclaimed() {
	for name, g := range d.p.gateways {
		for resource := range g.resources {
			d.remove(name, resource)
		}
		if g.built != d.p.round {
			d.setInfrastructure(name, nil)
		}
	}
	for key, m := range d.p.verdicts {
		if m.round != d.p.round {
			d.dropVerdict(key)
		}
	}
}

func (d *delta) empty() bool { return len(d.gateways)+len(d.verdicts)+len(d.gone) == 0 }

// snapshot is the delta in the order in which it is published.
func (d *delta) snapshot(serves func(gateway string) bool) *routing.Snapshot {
	s := &routing.Snapshot{Verdicts: d.verdicts, Gone: d.gone}
	for name, g := range d.gateways {
		pg := d.p.gateways[name]
		out := routing.GatewayDelta{Gateway: name, Infrastructure: pg.infrastructure, Digest: pg.sum}
		if len(pg.resources) == 0 && !serves(name) {
			out.Deleted = true
			delete(d.p.gateways, name)
		} else {
			out.Changed = g.changed
			for removed := range g.removed {
				out.Removed = append(out.Removed, removed)
			}
			slices.SortFunc(out.Changed, func(a, b routing.Resource) int { return a.ResourceName.Compare(b.ResourceName) })
			slices.SortFunc(out.Removed, routing.ResourceName.Compare)
		}
		s.Gateways = append(s.Gateways, out)
	}
	slices.SortFunc(s.Gateways, func(a, b routing.GatewayDelta) int { return cmp.Compare(a.Gateway, b.Gateway) })
	slices.SortFunc(s.Verdicts, func(a, b routing.Verdict) int { return a.Object.Compare(b.Object) })
	slices.SortFunc(s.Gone, events.Key.Compare)
	s.VerdictDigest = d.p.sum
	return s
}

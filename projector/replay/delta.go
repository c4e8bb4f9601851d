package replay

import (
	"maps"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// published is what readers hold, by digests: the bytes are in the log.
type published struct {
	version  events.Version
	gateways map[string]*publishedGateway
	verdicts map[events.Key]routing.Digest
	sum      routing.Digest
}

type publishedGateway struct {
	resources map[routing.ResourceName]mark
	sum       routing.Digest
}

// mark is what tells whether a resource has to be published again. The sealed
// key is compared too: keys sealed to new recipients must reach the servers.
type mark struct{ digest, sealed routing.Digest }

func newPublished() *published {
	return &published{gateways: map[string]*publishedGateway{}, verdicts: map[events.Key]routing.Digest{}}
}

func publishedOf(s *routing.State) *published {
	p := newPublished()
	p.version = s.Version
	for name, g := range s.Gateways {
		pg := p.gateway(name)
		for resource, r := range g.Resources {
			pg.resources[resource] = markOf(r)
		}
		pg.sum = g.Digest
	}
	for key, v := range s.Verdicts {
		p.verdicts[key] = v.Digest()
	}
	p.sum = s.VerdictDigest
	return p
}

func markOf(r routing.Resource) mark {
	m := mark{digest: r.Digest}
	if len(r.Sealed) > 0 {
		m.sealed = routing.DigestOf(r.Sealed)
	}
	return m
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
	// claimed is what the projection has, for dropUnclaimed.
	claimed         map[string]map[routing.ResourceName]bool
	claimedVerdicts map[events.Key]bool
}

type gatewayDelta struct {
	changed map[routing.ResourceName]routing.Resource
	removed map[routing.ResourceName]bool
}

func newDelta(p *published) *delta {
	return &delta{
		p: p, gateways: map[string]*gatewayDelta{},
		claimed: map[string]map[routing.ResourceName]bool{}, claimedVerdicts: map[events.Key]bool{},
	}
}

func (d *delta) gateway(name string) *gatewayDelta {
	g := d.gateways[name]
	if g == nil {
		g = &gatewayDelta{changed: map[routing.ResourceName]routing.Resource{}, removed: map[routing.ResourceName]bool{}}
		d.gateways[name] = g
	}
	return g
}

func (d *delta) set(gateway string, r routing.Resource) {
	if d.claimed[gateway] == nil {
		d.claimed[gateway] = map[routing.ResourceName]bool{}
	}
	d.claimed[gateway][r.ResourceName] = true
	pg, next := d.p.gateway(gateway), markOf(r)
	old, had := pg.resources[r.ResourceName]
	if had && old == next {
		return
	}
	if had {
		pg.sum = pg.sum.Sub(r.ResourceName.Member(old.digest))
	}
	pg.sum = pg.sum.Add(r.ResourceName.Member(next.digest))
	pg.resources[r.ResourceName] = next
	g := d.gateway(gateway)
	g.changed[r.ResourceName] = r
	delete(g.removed, r.ResourceName)
}

// remove takes a resource away, unless another output of this delta gave it.
func (d *delta) remove(gateway string, name routing.ResourceName) {
	if d.claimed[gateway][name] {
		return
	}
	pg := d.p.gateway(gateway)
	old, had := pg.resources[name]
	if !had {
		return
	}
	pg.sum = pg.sum.Sub(name.Member(old.digest))
	delete(pg.resources, name)
	d.gateway(gateway).removed[name] = true
}

func (d *delta) setVerdict(v routing.Verdict) {
	d.claimedVerdicts[v.Object] = true
	next := v.Digest()
	old, had := d.p.verdicts[v.Object]
	if had && old == next {
		return
	}
	if had {
		d.p.sum = d.p.sum.Sub(old)
	}
	d.p.sum = d.p.sum.Add(next)
	d.p.verdicts[v.Object] = next
	d.verdicts = append(d.verdicts, v)
}

func (d *delta) dropVerdict(key events.Key) {
	old, had := d.p.verdicts[key]
	if !had {
		return
	}
	d.p.sum = d.p.sum.Sub(old)
	delete(d.p.verdicts, key)
	d.gone = append(d.gone, key)
}

// dropUnclaimed removes what was published and a projection from nothing does
// not have.
func (d *delta) dropUnclaimed() {
	for name, g := range d.p.gateways {
		for resource := range maps.Clone(g.resources) {
			d.remove(name, resource)
		}
	}
	for key := range maps.Clone(d.p.verdicts) {
		if !d.claimedVerdicts[key] {
			d.dropVerdict(key)
		}
	}
}

func (d *delta) empty() bool { return len(d.gateways)+len(d.verdicts)+len(d.gone) == 0 }

// snapshot is the delta in the order in which it is published.
func (d *delta) snapshot(gone func(gateway string) bool) *routing.Snapshot {
	s := &routing.Snapshot{Verdicts: d.verdicts, Gone: d.gone}
	for _, name := range slices.Sorted(maps.Keys(d.gateways)) {
		g, pg := d.gateways[name], d.p.gateways[name]
		out := routing.GatewayDelta{Gateway: name, Digest: pg.sum}
		if len(pg.resources) == 0 && gone(name) {
			out.Deleted = true
			delete(d.p.gateways, name)
		} else {
			out.Changed = slices.SortedFunc(maps.Values(g.changed), func(a, b routing.Resource) int { return a.ResourceName.Compare(b.ResourceName) })
			out.Removed = slices.SortedFunc(maps.Keys(g.removed), routing.ResourceName.Compare)
		}
		s.Gateways = append(s.Gateways, out)
	}
	slices.SortFunc(s.Verdicts, func(a, b routing.Verdict) int { return a.Object.Compare(b.Object) })
	slices.SortFunc(s.Gone, events.Key.Compare)
	s.VerdictDigest = d.p.sum
	return s
}

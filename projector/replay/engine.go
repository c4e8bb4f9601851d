package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/route"
)

// Engine is one run of the fold with its projection. Use it from one goroutine.
type Engine struct {
	state  *fold.State
	tables *route.Tables
	// outputs are the resource names that each output of package envoy gave last.
	outputs map[envoy.OutputID][]routing.ResourceName
	// excluded is what of each output is not published, judged what verdicts were
	// given on since the last Project.
	excluded map[envoy.OutputID][]exclusion
	judged   []judged
	// published is what readers of the snapshots hold.
	published *published

	dirty    map[events.Key]struct{}
	causes   []uint64
	problems []Problem
	// rebuild asks for a projection from nothing, compared with published.
	rebuild bool
	took    Took
}

// Took is how long the two steps of a projection took.
type Took struct{ Route, Envoy time.Duration }

// New is an engine before the first event of an incarnation of EVENTS.
func New(incarnation string) *Engine { return FromState(fold.NewState(incarnation)) }

// FromState goes on from a checkpoint of the fold.
func FromState(s *fold.State) *Engine {
	return &Engine{
		state: s, tables: route.New(0), outputs: map[envoy.OutputID][]routing.ResourceName{},
		excluded: map[envoy.OutputID][]exclusion{}, published: newPublished(), dirty: map[events.Key]struct{}{}, rebuild: true,
	}
}

// Resume says what was published before, so that the next Project gives the
// difference to that.
func (e *Engine) Resume(last *routing.State) {
	e.published = publishedOf(last)
	e.rebuild = true
}

// State is the fold so far; it must not be changed.
func (e *Engine) State() *fold.State { return e.state }

// Fold applies events in order. On error those before the bad one are applied.
func (e *Engine) Fold(batch ...events.Event) error {
	for _, ev := range batch {
		keys, err := e.state.Apply(ev)
		if err != nil {
			return err
		}
		if !e.rebuild {
			for _, key := range keys {
				e.dirty[key] = struct{}{}
			}
		}
		if ev.Type == events.TypeVerdict {
			e.judge(ev)
		}
		if len(keys) > 0 {
			e.causes = append(e.causes, ev.Sequence)
		}
	}
	return nil
}

// Project gives the snapshot that brings readers from what was published to the
// present state; nil when that is the same, or while the world is half read.
func (e *Engine) Project() *routing.Snapshot {
	if !e.state.Ready() {
		return nil
	}
	dirty := slices.SortedFunc(maps.Keys(e.dirty), events.Key.Compare)
	if e.rebuild {
		dirty = append(e.state.Keys(), events.EpochKey(events.StreamEvents))
		e.tables = route.New(len(dirty))
		e.outputs = make(map[envoy.OutputID][]routing.ResourceName, len(dirty))
		clear(e.excluded)
	}
	started := time.Now()
	change := e.tables.Build(e.state, dirty)
	e.took.Route = time.Since(started)
	e.addRefused(&change)
	d := newDelta(e.published)
	for _, name := range slices.Concat(change.Gateways, change.Pins) {
		d.setServed(name, e.serves(name))
	}
	retell := map[events.Key]bool{}
	started = time.Now()
	outputs := envoy.Resources(e.tables, change)
	e.took.Envoy = time.Since(started)
	outputs = append(outputs, e.unpinned(change.Pins, outputs)...)
	for _, out := range outputs {
		if out.Problem != "" {
			e.problems = append(e.problems, Problem{Gateway: out.ID.Gateway, Message: fmt.Sprintf("of %s %s is left out: %s", out.ID.Kind, out.ID.Name, out.Problem)})
		}
		e.take(d, out, retell)
	}
	d.removeStale()
	for _, name := range change.Infrastructures {
		d.setInfrastructure(name, e.tables.Infrastructure(name))
	}
	for _, key := range change.Verdicts {
		retell[key] = true
	}
	for _, key := range slices.SortedFunc(maps.Keys(retell), events.Key.Compare) {
		if v, ok := e.tables.Verdict(key); ok {
			d.setVerdict(e.tell(v))
		} else {
			d.dropVerdict(key)
		}
	}
	if e.rebuild {
		d.dropUnclaimed()
		for name := range e.published.gateways {
			d.setServed(name, e.serves(name))
		}
	}
	clear(e.dirty)
	e.rebuild = false
	causes := e.takeCauses()
	if d.empty() {
		return nil
	}
	snap := d.snapshot(e.serves)
	snap.Version, snap.Previous = e.state.Version, e.published.version
	snap.FoldVersion, snap.Time, snap.Chain, snap.Causes = fold.Version, e.state.Time, e.state.Chain, causes
	e.published.version = snap.Version
	return snap
}

// serves tells whether a Gateway has anything to do with Envoys: something that they
// listen on, or Envoys that are to be there.
func (e *Engine) serves(gateway string) bool {
	return e.tables.Gateway(gateway) != nil || e.tables.Infrastructure(gateway) != nil || e.tables.Pin(gateway) != nil
}

// takeCauses are the events since what was published last; those before it have
// been told.
func (e *Engine) takeCauses() []uint64 {
	causes := e.causes
	e.causes = nil
	if last := e.published.version; last.Incarnation == e.state.Version.Incarnation {
		causes = slices.DeleteFunc(causes, func(sequence uint64) bool { return sequence <= last.Sequence })
	}
	return causes
}

// Problem is what is wrong with an output of a Gateway (namespace/name).
type Problem struct{ Gateway, Message string }

// Problems are what the last Project had to leave out of outputs because it came out
// invalid, which is a mistake of ours; it empties the list.
func (e *Engine) Problems() []Problem {
	problems := e.problems
	e.problems = nil
	return problems
}

// Took tells about the last Project that was not nil.
func (e *Engine) Took() Took { return e.took }

// take compares one output with the one before.
func (e *Engine) take(d *delta, out envoy.Output, retell map[events.Key]bool) {
	before := e.outputs[out.ID]
	names := make([]routing.ResourceName, 0, len(out.Resources))
	var excluded []exclusion
	for _, r := range out.Resources {
		admitted, ok, refused := e.admit(out.ID.Gateway, r)
		if refused != nil {
			excluded = append(excluded, *refused)
		}
		if ok {
			names = append(names, r.ResourceName)
			d.set(out.ID.Gateway, admitted)
		}
	}
	e.setExcluded(out.ID, excluded, retell)
	for _, name := range before {
		if !slices.Contains(names, name) {
			d.stale = append(d.stale, staleResource{out.ID.Gateway, name})
		}
	}
	if len(names) == 0 {
		delete(e.outputs, out.ID)
	} else {
		e.outputs[out.ID] = names
	}
}

// unpinned are the outputs of what was pinned on Gateways and is no more, as empty ones;
// outputs are those that there are.
func (e *Engine) unpinned(gateways []string, outputs []envoy.Output) []envoy.Output {
	if len(gateways) == 0 {
		return nil
	}
	stays := map[envoy.OutputID]bool{}
	for _, out := range outputs {
		stays[out.ID] = true
	}
	var gone []envoy.Output
	for id := range e.outputs {
		if id.Kind == envoy.KindPinned && slices.Contains(gateways, id.Gateway) && !stays[id] {
			gone = append(gone, envoy.Output{ID: id})
		}
	}
	return gone
}

// Content is the digests of the present projection, for comparison.
func (e *Engine) Content() Content { return e.published.content() }

// Content is the digest of every Gateway's resources and of all verdicts: two
// states with the same content serve and say the same.
type Content struct {
	Gateways map[string]routing.Digest
	Verdicts routing.Digest
}

// ContentOf is the content of a published version.
func ContentOf(s *routing.State) Content {
	c := Content{Gateways: map[string]routing.Digest{}, Verdicts: s.VerdictDigest}
	for name, g := range s.Gateways {
		c.Gateways[name] = g.Digest
	}
	return c
}

// Differences names what differs, sorted: Gateways, and "verdicts".
func (c Content) Differences(o Content) []string {
	var names []string
	for name, digest := range c.Gateways {
		if o.Gateways[name] != digest {
			names = append(names, "gateway "+name)
		}
	}
	for name := range o.Gateways {
		if _, ok := c.Gateways[name]; !ok {
			names = append(names, "gateway "+name)
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	if c.Verdicts != o.Verdicts {
		names = append(names, "verdicts")
	}
	return names
}

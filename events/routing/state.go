package routing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// ErrOutOfStep is returned by [State.Apply] for a snapshot that does not follow
// the state: read again from a checkpoint.
var ErrOutOfStep = errors.New("the snapshot does not follow the version held")

// ErrDigest is returned by [State.Apply] when the resources do not add up to the
// digest that the snapshot carries: bytes were lost or altered.
var ErrDigest = errors.New("the digest does not match the content")

// State is one whole version: the sum of the snapshots up to it. Not safe for
// concurrent use; what it hands out must not be changed.
type State struct {
	Version       events.Version
	FoldVersion   int
	Time          time.Time
	Chain         Digest
	Gateways      map[string]*GatewayState
	Verdicts      map[events.Key]Verdict
	VerdictDigest Digest

	// digests of the verdicts: each takes as long as writing it.
	digests map[events.Key]Digest
}

// GatewayState is what the Envoys of one Gateway run in one version.
type GatewayState struct {
	Resources map[ResourceName]Resource
	// Infrastructure is nil where no Envoys are provisioned.
	Infrastructure *Infrastructure
	Digest         Digest
}

// Clone is a copy that later snapshots do not change.
func (g *GatewayState) Clone() *GatewayState {
	return &GatewayState{Resources: maps.Clone(g.Resources), Infrastructure: g.Infrastructure, Digest: g.Digest}
}

// NewState is the state before the first version.
func NewState() *State {
	return &State{Gateways: map[string]*GatewayState{}, Verdicts: map[events.Key]Verdict{}, digests: map[events.Key]Digest{}}
}

// Apply adds a snapshot. On error the state is no version any more and must be
// thrown away.
func (s *State) Apply(snap *Snapshot) error {
	if snap.Previous != s.Version {
		return fmt.Errorf("%w: version %s follows %s, but %s is held", ErrOutOfStep, snap.Version, snap.Previous, s.Version)
	}
	for i := range snap.Gateways {
		if err := s.applyGateway(&snap.Gateways[i]); err != nil {
			return fmt.Errorf("version %s: %w", snap.Version, err)
		}
	}
	for _, v := range snap.Verdicts {
		s.setVerdict(v.Object, &v)
	}
	for _, key := range snap.Gone {
		s.setVerdict(key, nil)
	}
	if s.VerdictDigest != snap.VerdictDigest {
		return fmt.Errorf("version %s: verdicts: %w: %s, want %s", snap.Version, ErrDigest, s.VerdictDigest.Short(), snap.VerdictDigest.Short())
	}
	s.Version, s.FoldVersion, s.Time, s.Chain = snap.Version, snap.FoldVersion, snap.Time, snap.Chain
	return nil
}

func (s *State) applyGateway(d *GatewayDelta) error {
	if d.Deleted {
		delete(s.Gateways, d.Gateway)
		return nil
	}
	g := s.Gateways[d.Gateway]
	if g == nil {
		g = &GatewayState{Resources: map[ResourceName]Resource{}}
		s.Gateways[d.Gateway] = g
	}
	for _, r := range d.Changed {
		if DigestOf(r.Body) != r.Digest {
			return fmt.Errorf("gateway %s: %s %s: %w", d.Gateway, r.Type, r.Name, ErrDigest)
		}
		if old, ok := g.Resources[r.ResourceName]; ok {
			g.Digest = g.Digest.Sub(r.ResourceName.Member(old.Digest))
		}
		g.Digest = g.Digest.Add(r.ResourceName.Member(r.Digest))
		g.Resources[r.ResourceName] = r
	}
	for _, name := range d.Removed {
		if old, ok := g.Resources[name]; ok {
			g.Digest = g.Digest.Sub(name.Member(old.Digest))
			delete(g.Resources, name)
		}
	}
	g.Digest = g.Digest.Sub(g.Infrastructure.Member()).Add(d.Infrastructure.Member())
	g.Infrastructure = d.Infrastructure
	if g.Digest != d.Digest {
		return fmt.Errorf("gateway %s: %w: %s, want %s", d.Gateway, ErrDigest, g.Digest.Short(), d.Digest.Short())
	}
	return nil
}

func (s *State) setVerdict(key events.Key, v *Verdict) {
	s.VerdictDigest = s.VerdictDigest.Sub(s.digests[key])
	if v == nil {
		delete(s.Verdicts, key)
		delete(s.digests, key)
		return
	}
	digest := v.Digest()
	s.VerdictDigest = s.VerdictDigest.Add(digest)
	s.Verdicts[key], s.digests[key] = *v, digest
}

// Full is the state as one snapshot on top of nothing: the form of a checkpoint.
func (s *State) Full() *Snapshot {
	full := &Snapshot{
		Version: s.Version, FoldVersion: s.FoldVersion, Time: s.Time, Chain: s.Chain, VerdictDigest: s.VerdictDigest,
	}
	for _, name := range slices.Sorted(maps.Keys(s.Gateways)) {
		g := s.Gateways[name]
		full.Gateways = append(full.Gateways, GatewayDelta{
			Gateway:        name,
			Digest:         g.Digest,
			Infrastructure: g.Infrastructure,
			Changed:        slices.SortedFunc(maps.Values(g.Resources), func(a, b Resource) int { return a.ResourceName.Compare(b.ResourceName) }),
		})
	}
	full.Verdicts = slices.SortedFunc(maps.Values(s.Verdicts), func(a, b Verdict) int { return a.Object.Compare(b.Object) })
	return full
}

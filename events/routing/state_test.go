package routing_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

func version(sequence uint64) events.Version {
	return events.Version{Incarnation: "I", Sequence: sequence}
}

func resource(name, body string) routing.Resource {
	return routing.Resource{
		ResourceName: routing.ResourceName{Type: "cluster", Name: name}, Digest: routing.DigestOf([]byte(body)), Body: []byte(body),
	}
}

func verdict(name string, generation int64) routing.Verdict {
	return routing.Verdict{Object: events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: name}, UID: "u", Generation: generation}
}

// publisher makes the snapshots of a random history, and knows what they come to.
type publisher struct {
	rng       *rand.Rand
	at        events.Version
	resources map[string]routing.Resource
	verdicts  map[events.Key]routing.Verdict
	deployed  bool
}

func newPublisher(seed uint64) *publisher {
	return &publisher{
		rng: rand.New(rand.NewPCG(seed, 7)), resources: map[string]routing.Resource{}, verdicts: map[events.Key]routing.Verdict{},
	}
}

// next is a snapshot that follows the one before.
func (p *publisher) next() *routing.Snapshot {
	s := &routing.Snapshot{Previous: p.at, Version: version(p.at.Sequence + 1 + p.rng.Uint64N(3)), FoldVersion: 1, Time: time.Unix(int64(p.at.Sequence), 0).UTC()}
	p.at = s.Version
	delta := routing.GatewayDelta{Gateway: "n/gw"}
	if p.deployed && p.rng.IntN(10) == 0 {
		delta.Deleted, p.deployed = true, false
		clear(p.resources)
	} else {
		p.deployed = true
		for _, i := range p.rng.Perm(5)[:3] {
			name := fmt.Sprint("c", i)
			if old, ok := p.resources[name]; ok && p.rng.IntN(2) == 0 {
				delta.Removed = append(delta.Removed, old.ResourceName)
				delete(p.resources, name)
				continue
			}
			r := resource(name, fmt.Sprint("body ", p.rng.IntN(100)))
			delta.Changed, p.resources[name] = append(delta.Changed, r), r
		}
		for _, r := range p.resources {
			delta.Digest = delta.Digest.Add(r.Member(r.Digest))
		}
		if p.rng.IntN(3) > 0 {
			delta.Infrastructure = &routing.Infrastructure{Name: "gw", UID: fmt.Sprint(p.rng.IntN(3)), Labels: map[string]string{"a": "b"}}
		}
		delta.Digest = delta.Digest.Add(delta.Infrastructure.Member())
	}
	s.Gateways = []routing.GatewayDelta{delta}
	v := verdict(fmt.Sprint("r", p.rng.IntN(4)), p.rng.Int64N(9))
	if _, ok := p.verdicts[v.Object]; ok && p.rng.IntN(2) == 0 {
		s.Gone = []events.Key{v.Object}
		delete(p.verdicts, v.Object)
	} else {
		s.Verdicts, p.verdicts[v.Object] = []routing.Verdict{v}, v
	}
	for _, v := range p.verdicts {
		s.VerdictDigest = s.VerdictDigest.Add(v.Digest())
	}
	return s
}

func TestASumOfSnapshotsIsWhatWasPublished(t *testing.T) {
	for seed := range uint64(20) {
		p, state := newPublisher(seed), routing.NewState()
		for range 30 {
			if err := state.Apply(p.next()); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			got := map[string]routing.Resource{}
			if g := state.Gateways["n/gw"]; g != nil {
				for name, r := range g.Resources {
					got[name.Name] = r
				}
			}
			if !maps.EqualFunc(got, p.resources, sameResource) || !reflect.DeepEqual(state.Verdicts, p.verdicts) || state.Version != p.at {
				t.Fatalf("seed %d: the state at %s is %v %v, want %v %v", seed, p.at, got, state.Verdicts, p.resources, p.verdicts)
			}
		}
		again := routing.NewState()
		if err := again.Apply(state.Full()); err != nil || !reflect.DeepEqual(again, state) {
			t.Errorf("seed %d: the full state does not give the state back: %v", seed, err)
		}
	}
}

func sameResource(a, b routing.Resource) bool { return reflect.DeepEqual(a, b) }

func TestASnapshotOutOfStepIsRefused(t *testing.T) {
	p, state := newPublisher(1), routing.NewState()
	first, second, third := p.next(), p.next(), p.next()
	if err := state.Apply(second); !errors.Is(err, routing.ErrOutOfStep) {
		t.Errorf("the second first: %v", err)
	}
	if err := state.Apply(first); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*routing.Snapshot{"twice": first, "one left out": third} {
		if err := state.Apply(s); !errors.Is(err, routing.ErrOutOfStep) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rebuilt := *second
	rebuilt.Previous.Incarnation = "J"
	if err := state.Apply(&rebuilt); !errors.Is(err, routing.ErrOutOfStep) {
		t.Errorf("of another incarnation: %v", err)
	}
}

func TestASnapshotThatDoesNotAddUpIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*routing.Snapshot){
		"altered body":    func(s *routing.Snapshot) { s.Gateways[0].Changed[0].Body = []byte("altered") },
		"altered digest":  func(s *routing.Snapshot) { s.Gateways[0].Changed[0].Digest[0] ^= 1 },
		"lost resource":   func(s *routing.Snapshot) { s.Gateways[0].Changed = s.Gateways[0].Changed[1:] },
		"another name":    func(s *routing.Snapshot) { s.Gateways[0].Changed[0].Name = "other" },
		"infrastructure":  func(s *routing.Snapshot) { s.Gateways[0].Infrastructure = &routing.Infrastructure{Name: "other"} },
		"gateway digest":  func(s *routing.Snapshot) { s.Gateways[0].Digest[31] ^= 1 },
		"altered verdict": func(s *routing.Snapshot) { s.Verdicts[0].Generation++ },
		"lost verdict":    func(s *routing.Snapshot) { s.Verdicts = nil },
		"verdict digest":  func(s *routing.Snapshot) { s.VerdictDigest[0] ^= 1 },
	} {
		s := newPublisher(1).next()
		spoil(s)
		if err := routing.NewState().Apply(s); !errors.Is(err, routing.ErrDigest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADigestOfASetKnowsNoOrderAndForgetsWhatIsTakenOut(t *testing.T) {
	property := func(members [][]byte, other []byte, seed uint64) bool {
		var sum, shuffled routing.Digest
		for _, m := range members {
			sum = sum.Add(routing.DigestOf(m))
		}
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		for _, m := range members {
			shuffled = shuffled.Add(routing.DigestOf(m))
		}
		more := sum.Add(routing.DigestOf(other))
		return sum == shuffled && more != sum && more.Sub(routing.DigestOf(other)) == sum && (routing.Digest{}).Sub(sum).Add(sum) == routing.Digest{}
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestADigestTellsListsOfPartsApart(t *testing.T) {
	if routing.DigestOf([]byte("ab"), []byte("c")) == routing.DigestOf([]byte("a"), []byte("bc")) {
		t.Error("the border between two parts does not matter")
	}
	d := routing.DigestOf([]byte("x"))
	text, err := d.MarshalText()
	var back routing.Digest
	if err != nil || back.UnmarshalText(text) != nil || back != d || d.String() != string(text) || d.Short() != string(text[:12]) {
		t.Errorf("%s is read as %s", text, back)
	}
	for _, bad := range [][]byte{nil, text[:62], bytes.Repeat([]byte("x"), 64), slices.Concat(text, text)} {
		if back.UnmarshalText(bad) == nil {
			t.Errorf("%q is read as a digest", bad)
		}
	}
}

package route

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

// someCandidates are entries of rules in order of precedence, from an alphabet so small
// that they meet. Each rule has one or two.
func someCandidates(rng *rand.Rand, n int) []candidate {
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	values := func(name string) []ValueMatch {
		var out []ValueMatch
		for i := range rng.IntN(3) {
			out = append(out, ValueMatch{Name: fmt.Sprint(name, i), Kind: MatchKind(pick(string(Exact), string(Regex))), Value: pick("1", "2")})
		}
		return out
	}
	var list []candidate
	for i := range n {
		m := Match{Path: PathMatch{MatchKind(pick(string(Exact), string(Prefix), string(Regex))), pick("/", "/a", "/a/b", "/ab")}}
		m.Method, m.Headers, m.Query = pick("", "", "GET", "POST"), values("h"), values("q")
		if rng.IntN(4) == 0 {
			m.GRPC = &GRPCMatch{}
		}
		route := events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: pick("x", "y", "z")}
		c := candidate{own: rng.IntN(4) > 0, entry: Entry{Match: m, Rule: &Rule{Route: route, Index: i / 2}}}
		if rng.IntN(3) == 0 {
			c.entry.Tenant = &Tenant{Claim: "t", ID: pick("a", "b")}
		}
		list = append(list, c)
	}
	return list
}

// implies tells of each condition of wide whether narrow has it too.
func implies(narrow, wide *Match) bool {
	n, w := narrow.Path, wide.Path
	path := n == w
	if w.Kind == Prefix && n.Kind != Regex {
		path = n.Value == w.Value || w.Value == "/" || len(n.Value) > len(w.Value) && n.Value[:len(w.Value)+1] == w.Value+"/"
	}
	has := func(of, in []ValueMatch) bool {
		return !slices.ContainsFunc(of, func(v ValueMatch) bool { return !slices.Contains(in, v) })
	}
	return path && (wide.Method == "" || wide.Method == narrow.Method) && (wide.GRPC == nil || narrow.GRPC != nil) &&
		has(wide.Headers, narrow.Headers) && has(wide.Query, narrow.Query)
}

// compareAll is what findShadows does, by comparing every entry with all before it.
func compareAll(list []candidate) map[RuleID][]RuleID {
	by, live := map[RuleID][]RuleID{}, map[RuleID]bool{}
	for i := range list {
		e := &list[i].entry
		id := RuleID{e.Rule.Route, e.Rule.Index}
		first := slices.IndexFunc(list[:i], func(c candidate) bool { return implies(&e.Match, &c.entry.Match) })
		if first < 0 {
			live[id] = true
		} else if list[i].own {
			by[id] = appendNew(by[id], list[first].entry.told(e))
		}
	}
	for id := range live {
		delete(by, id)
	}
	return by
}

func TestShadowsAreThoseFoundByComparingAll(t *testing.T) {
	found, hidden := 0, 0
	for _, seed := range seeds(t) {
		rng := rand.New(rand.NewPCG(seed, 7))
		list := someCandidates(rng, 2+rng.IntN(25))
		want, got := compareAll(list), map[RuleID][]RuleID{}
		for _, by := range want {
			slices.SortFunc(by, RuleID.compare)
			if by[0] == (RuleID{}) {
				hidden++
			}
		}
		shadows := findShadows(list)
		for _, s := range shadows {
			got[s.Rule] = s.By
		}
		if !reflect.DeepEqual(got, want) || !slices.IsSortedFunc(shadows, func(a, b Shadow) int { return a.Rule.compare(b.Rule) }) {
			t.Fatalf("got %v, want %v; %s", shadows, want, rerun(t, seed))
		}
		found += len(shadows)
	}
	if found < 100 || hidden == 0 {
		t.Errorf("only %d shadows were found, %d by those of other tenants", found, hidden)
	}
}

// hostOf is a host with n rules, of which every tenth is there twice.
func hostOf(n int, match func(i int) Match) []candidate {
	var list []candidate
	for i := range n {
		of := i
		if i%10 == 9 {
			of = i - 1
		}
		list = append(list, candidate{own: true, entry: Entry{
			Match: match(of), Rule: &Rule{Route: events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: fmt.Sprint("r", i)}},
		}})
	}
	return list
}

// hosts are those where many entries have to be told apart, each by something else.
var hosts = map[string]func(i int) Match{
	"paths": func(i int) Match { return Match{Path: PathMatch{Prefix, fmt.Sprintf("/api/v1/%d", i)}} },
	"headers": func(i int) Match {
		return Match{Path: PathMatch{Prefix, "/"}, Headers: []ValueMatch{{"x-user", Exact, fmt.Sprint(i)}}}
	},
	"shared conditions": func(i int) Match {
		return Match{Path: PathMatch{Prefix, "/"}, Method: "GET", Headers: []ValueMatch{{"x-env", Exact, "test"}, {"x-user", Exact, fmt.Sprint(i)}}}
	},
	"mixed conditions": func(i int) Match {
		return Match{Path: PathMatch{Prefix, "/"}, Headers: []ValueMatch{{"a", Exact, fmt.Sprint(i % 32)}, {"b", Exact, fmt.Sprint(i / 32)}}}
	},
}

// What tells entries apart is found out, and none of the shadows is missed.
func TestAThousandRulesOfOneHostAreNotComparedWithEachOther(t *testing.T) {
	for name, match := range hosts {
		if got := len(findShadows(hostOf(1000, match))); got != 100 {
			t.Errorf("%s: %d shadows, want 100", name, got)
		}
	}
	// Here one condition tells little, and any two of them are of use only together: what is
	// not found is not told, and the cost is bounded.
	index := newShadowIndex(1)
	index.demands[0] = []demand{{on: "never"}}
	everyone := PathMatch{Prefix, "/"}
	index.shelves[everyone] = &shelf{all: make([]int, 10*maxCompared)}
	index.demands = append(index.demands, nil)
	if by := index.find(&everyone, nil); by >= 0 {
		t.Errorf("found %d", by)
	}
}

func BenchmarkShadowsOfOneHost(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		for name, match := range hosts {
			list := hostOf(n, match)
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					findShadows(list)
				}
			})
		}
	}
}

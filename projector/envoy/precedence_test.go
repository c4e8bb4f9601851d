package envoy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
	"github.com/rutter-gateway/rutter/projector/route"
)

// trial is random routes in a real Envoy, and one request after the other.
type trial struct {
	*specified
	*world
	g     specifier
	proxy *proxy
}

func newTrial(t *testing.T, seed uint64, layout route.Layout) *trial {
	t.Helper()
	g := specifier{rand.New(rand.NewPCG(seed, 5))}
	s := g.world()
	w := s.projected(t, layout)
	var clusters []string
	for id := range w.clusters {
		clusters = append(clusters, id.Name)
	}
	proxy := serveAs(t, w, newBackends(t, clusters...), func(r routing.Resource) routing.Resource { return telling(t, r) })
	return &trial{s, w, g, proxy}
}

// request sends one, and returns which route Envoy took it to; "" where it has none.
func (tr *trial) request(t *testing.T) (*specifiedRequest, string) {
	t.Helper()
	r := tr.g.request()
	got := raw(t, tr.proxy.ports[fmt.Sprintf("port-%d", r.port)], "", r.text())
	took := ""
	if told := got.Headers[routeTold]; len(told) > 0 && got.Headers["X-From"] != nil {
		took = told[0]
	}
	return r, took
}

// expected is which route takes a request, by an order.
func (tr *trial) expected(r *specifiedRequest, order []criterion) string {
	if met := tr.meets(r, order); len(met) > 0 {
		return met[0].made()
	}
	return ""
}

// TestRulesTakePrecedenceAsSpecified puts random routes into a real Envoy, and sends it
// random requests: each must go where the specification says, and package evaluate must
// know that too. RUTTER_SEED and RUTTER_ROUNDS repeat a failure or look for longer.
func TestRulesTakePrecedenceAsSpecified(t *testing.T) {
	seed, rounds := seedAndRounds(t, 4)
	requests, several := 0, 0
	for round := range rounds {
		seed := seed + uint64(round)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("repeat with RUTTER_SEED=%d RUTTER_ROUNDS=1 go test -run TestRulesTakePrecedenceAsSpecified ./projector/envoy", seed)
			tr := newTrial(t, seed, []route.Layout{route.LayoutPlain, route.LayoutScoped}[round%2])
			config := evaluated(t, tr.world, func(*routev3.VirtualHost) {})
			for range 500 {
				r, took := tr.request(t)
				met := tr.meets(r, precedence())
				requests++
				if len(met) > 1 {
					several++
				}
				if want := tr.expected(r, precedence()); took != want {
					t.Errorf("port %d, request\n%s\nwent to %q, and the specification says %q", r.port, r.text(), took, want)
				}
				if told := explained(t, config, r); told != took {
					t.Errorf("port %d, request\n%s\nwent to %q, and is explained by %q", r.port, r.text(), took, told)
				}
			}
		})
	}
	t.Logf("%d requests, of which %.1f%% meet several rules", requests, 100*float64(several)/float64(requests))
	if 10*several < 3*requests {
		t.Error("that is less than 30%")
	}
}

// wrongOrders are mistakes that are easily made, each of which must be noticed.
func wrongOrders() map[string][]criterion {
	at := func(order []criterion, name string) int {
		i := slices.IndexFunc(order, func(c criterion) bool { return c.name == name })
		if i < 0 {
			panic("no criterion is called " + name)
		}
		return i
	}
	out := map[string][]criterion{}
	swap := func(a, b string) {
		order := precedence()
		i, j := at(order, a), at(order, b)
		order[i], order[j] = order[j], order[i]
		out[a+" and "+b+" exchanged"] = order
	}
	reverse := func(name string) {
		order := precedence()
		c := &order[at(order, name)]
		right := c.compare
		c.compare = func(a, b contender) int { return right(b, a) }
		out[name+" the other way round"] = order
	}
	forget := func(name string) {
		order := precedence()
		i := at(order, name)
		out[name+" forgotten"] = slices.Delete(order, i, i+1)
	}
	swap("path", "headers")
	swap("kind of path", "path")
	swap("method", "headers")
	swap("headers", "query parameters")
	swap("query parameters", "age")
	for _, c := range precedence() {
		reverse(c.name)
	}
	for _, name := range []string{"hostname", "path", "method", "headers", "query parameters", "age"} {
		forget(name)
	}
	return out
}

// TestAWrongPrecedenceIsNoticed tests the test: with rules in an order that is wrong in one
// point alone, requests are explained otherwise than Envoy answers them, and go elsewhere
// than that order says.
func TestAWrongPrecedenceIsNoticed(t *testing.T) {
	wrong := wrongOrders()
	for seed := uint64(1); len(wrong) > 0 && seed <= 8; seed++ {
		tr := newTrial(t, seed, route.LayoutScoped)
		requests, took := make([]*specifiedRequest, 600), make([]string, 600)
		for i := range requests {
			requests[i], took[i] = tr.request(t)
		}
		for _, name := range slices.Sorted(maps.Keys(wrong)) {
			config := evaluated(t, tr.inOrder(wrong[name]), func(*routev3.VirtualHost) {})
			elsewhere, otherwise := 0, 0
			for i, r := range requests {
				if tr.expected(r, wrong[name]) != took[i] {
					elsewhere++
				}
				if explained(t, config, r) != took[i] {
					otherwise++
				}
			}
			if elsewhere > 0 && otherwise > 0 {
				t.Logf("%s: %d requests go elsewhere, and %d are explained otherwise", name, elsewhere, otherwise)
				delete(wrong, name)
			}
		}
	}
	for name := range wrong {
		t.Errorf("nobody notices %s", name)
	}
}

// explained is which route package evaluate says that a request takes.
func explained(t *testing.T, config *evaluate.Config, r *specifiedRequest) string {
	t.Helper()
	request, ok := requestOf(t, fmt.Sprintf("port-%d", r.port), "", r.text())
	if !ok {
		t.Fatalf("no request: %s", r.text())
	}
	answer, err := config.Answer(request)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Route
}

// inOrder is the world with the rules of each host in an order.
func (tr *trial) inOrder(order []criterion) *world {
	w := *tr.world
	w.hosts = map[route.HostID]*route.Host{}
	contenders := map[string]contender{}
	for _, r := range tr.routes {
		for i, matches := range r.rules {
			for j := range matches {
				c := contender{route: r, rule: i, match: j}
				contenders[c.made()] = c
			}
		}
	}
	for id, h := range tr.world.hosts {
		next := new(*h)
		next.Entries = slices.Clone(h.Entries)
		of := func(e route.Entry) contender {
			c := contenders[e.Name]
			c.hostname, _ = c.route.covers(id.Hostname)
			return c
		}
		slices.SortStableFunc(next.Entries, func(a, b route.Entry) int { return inOrder(order)(of(a), of(b)) })
		w.hosts[id] = next
	}
	return &w
}

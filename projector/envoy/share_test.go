package envoy

import (
	"math"
	"testing"

	"github.com/rutter-gateway/rutter/projector/route"
)

// within checks that got of n is a share of p, by 4 standard deviations: wrong
// by chance once in 16,000 runs.
func within(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	if sigma := math.Sqrt(float64(n) * p * (1 - p)); math.Abs(float64(got)-float64(n)*p) > 4*sigma {
		t.Errorf("%s: %d of %d, want a share of %.3f", what, got, n, p)
	}
}

func TestBackendsReceiveTheirShares(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	for _, name := range []string{"a", "b", "c"} {
		w.cluster(name, route.HTTP1)
	}
	weightedRule := func() *route.Rule {
		r := rule("a", "b", "", "c")
		for i, weight := range []uint32{1, 2, 3, 4} {
			r.Backends[i].Weight = weight
		}
		return r
	}
	// A rewrite of one backend makes each a route of its own, by cumulative fractions.
	split := weightedRule()
	split.Backends[1].Filters.Rewrite = &route.Rewrite{Path: &route.PathChange{Full: new("/rewritten")}}
	split.Backends[3].Filters.Redirect = &route.Redirect{Hostname: "elsewhere.test", StatusCode: 302}
	w.host("http-80", "a.test", entry(prefix("/weighted"), weightedRule()), entry(prefix("/split"), split))
	p := serve(t, w, newBackends(t, "a", "b", "c"))
	tr := p.transport(80)
	const n = 10_000
	for path, last := range map[string]int{"/weighted": 200, "/split": 302} {
		seen := map[string]int{}
		statuses := map[int]int{}
		for range n {
			got := do(t, tr, request(t, "GET a.test"+path))
			seen[got.echo.Backend]++
			statuses[got.status]++
			if got.echo.Backend == "b" && path == "/split" && got.echo.URI != "/rewritten" {
				t.Fatalf("backend b saw %q", got.echo.URI)
			}
		}
		within(t, path+" a", seen["a"], n, 0.1)
		within(t, path+" b", seen["b"], n, 0.2)
		within(t, path+" unresolved", statuses[500], n, 0.3)
		if last == 302 {
			within(t, path+" redirected", statuses[302], n, 0.4)
		} else {
			within(t, path+" c", seen["c"], n, 0.4)
		}
	}
}

func TestRulesWithoutAUsableBackendAnswer500(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("empty", route.HTTP1)
	w.host("http-80", "a.test", entry(prefix("/none"), rule()), entry(prefix("/bad"), rule("", "")),
		entry(prefix("/one"), rule("")), entry(prefix("/empty"), rule("empty")))
	eachLayout(t, w, newBackends(t), func(t *testing.T, p *proxy) {
		for path, want := range map[string]int{"/none": 500, "/bad": 500, "/one": 500, "/empty": 503} {
			if got := do(t, p.transport(80), request(t, "GET a.test"+path)).status; got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
	})
}

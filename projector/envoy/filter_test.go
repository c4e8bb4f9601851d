package envoy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/route"
)

func TestHeaderFiltersOfTheRuleAndThenOfTheBackendApply(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("a", route.HTTP1)
	change := func(from string) *route.HeaderChange {
		return &route.HeaderChange{
			Set:    []route.Header{{Name: "X-Set", Value: from}, {Name: "Percent", Value: "100% %REQ(x)%"}},
			Add:    []route.Header{{Name: "X-Add", Value: from}},
			Remove: []string{"X-" + from, "X-From"},
		}
	}
	r := filtered(route.Filters{RequestHeaders: change("rule"), ResponseHeaders: change("rule")}, "a")
	r.Backends[0].Filters = route.Filters{RequestHeaders: change("backend"), ResponseHeaders: change("backend")}
	rewritten := filtered(route.Filters{RequestHeaders: change("rule")}, "a")
	rewritten.Backends[0].Filters = route.Filters{RequestHeaders: change("backend"), Rewrite: &route.Rewrite{Hostname: "h.test"}}
	setHost := filtered(route.Filters{RequestHeaders: &route.HeaderChange{Set: []route.Header{{Name: "Host", Value: "set.test"}}, Remove: []string{"host"}}}, "a")
	backendHost := rule("a")
	backendHost.Backends[0].Filters.RequestHeaders = &route.HeaderChange{Set: []route.Header{{Name: "host", Value: "backend.test"}}}
	weighted := filtered(route.Filters{RequestHeaders: change("rule"), ResponseHeaders: change("rule")}, "a", "a")
	weighted.Backends[0].Filters, weighted.Backends[1].Filters = r.Backends[0].Filters, r.Backends[0].Filters
	w.host("http-80", "a.test", entry(prefix("/weighted"), weighted), entry(prefix("/host"), setHost), entry(prefix("/bhost"), backendHost),
		entry(prefix("/rewritten"), rewritten), entry(prefix("/"), r))
	eachLayout(t, w, newBackends(t, "a"), func(t *testing.T, p *proxy) {
		tr := p.transport(80)
		for _, path := range []string{"/", "/weighted", "/rewritten"} {
			got := do(t, tr, request(t, "GET a.test"+path, "X-Set: client", "X-Add: client", "X-rule: 1", "X-backend: 1"))
			h := got.echo.Header
			if got := h.Values("X-Set"); !slices.Equal(got, []string{"backend"}) {
				t.Errorf("X-Set: %q", got)
			}
			if got := h.Values("X-Add"); !slices.Equal(got, []string{"client", "rule", "backend"}) {
				t.Errorf("X-Add: %q", got)
			}
			if got := h.Get("Percent"); got != "100% %REQ(x)%" {
				t.Errorf("Percent: %q", got)
			}
			if h.Get("X-rule") != "" || h.Get("X-backend") != "" {
				t.Errorf("not removed: %v", h)
			}
			if path != "/rewritten" && (got.header.Get("X-Set") != "backend" || got.header.Get("X-From") != "") {
				t.Errorf("response: %v", got.header)
			}
			if path == "/rewritten" && got.echo.Host != "h.test" {
				t.Errorf("host %q", got.echo.Host)
			}
		}
		if got := do(t, tr, request(t, "GET a.test/host")).echo.Host; got != "set.test" {
			t.Errorf("host set by the rule: %q", got)
		}
		if got := do(t, tr, request(t, "GET a.test/bhost")).echo.Host; got != "backend.test" {
			t.Errorf("host set by the backend: %q", got)
		}
	})
}

func TestRewritesChangeHostAndPathButNotTheQuery(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("a", route.HTTP1)
	w.host("http-80", "a.test",
		entry(prefix("/host"), filtered(route.Filters{Rewrite: &route.Rewrite{Hostname: "new.test"}}, "a")),
		entry(prefix("/full"), filtered(route.Filters{Rewrite: &route.Rewrite{Path: &route.PathChange{Full: new("/one/%25")}}}, "a")),
		entry(prefix("/both"), filtered(route.Filters{Rewrite: &route.Rewrite{Hostname: "new.test", Path: &route.PathChange{Matched: "/both", Prefix: new("/p")}}}, "a")))
	eachLayout(t, w, newBackends(t, "a"), func(t *testing.T, p *proxy) {
		for _, c := range []struct{ path, host, uri string }{
			{"/host/x?q=1", "new.test", "/host/x?q=1"},
			{"/full/x?q=1", "a.test", "/one/%25?q=1"},
			{"/full", "a.test", "/one/%25"},
			{"/both/x?q=1", "new.test", "/p/x?q=1"},
		} {
			if got := do(t, p.transport(80), request(t, "GET a.test"+c.path)).echo; got.Host != c.host || got.URI != c.uri {
				t.Errorf("%s: host %q path %q, want %q %q", c.path, got.Host, got.URI, c.host, c.uri)
			}
		}
	})
}

func TestMirrorsReceiveTheirShareWithTheOriginalHost(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	for _, name := range []string{"a", "b", "m1", "m2", "half"} {
		w.cluster(name, route.HTTP1)
	}
	all := filtered(route.Filters{Mirrors: []route.Mirror{
		{Cluster: "m1", Numerator: 1, Denominator: 1}, {Cluster: "m2", Numerator: 100, Denominator: 100},
		{Cluster: ""}, {Cluster: "b", Numerator: 0, Denominator: 100},
	}}, "a")
	// The backend-level mirror has half of the half that backend a gets.
	half := rule("a", "b")
	half.Backends[0].Filters.Mirrors = []route.Mirror{{Cluster: "half", Numerator: 50, Denominator: 100}}
	w.host("http-80", "a.test", entry(prefix("/all"), all), entry(prefix("/half"), half))
	b := newBackends(t, "a", "b", "m1", "m2", "half")
	p := serve(t, w.withLayout(route.LayoutScoped), b)
	tr := p.transport(80)
	for range 50 {
		do(t, tr, request(t, "GET a.test/all"))
	}
	gwtest.Eventually(t, "50 copies to each mirror", func() error {
		if m1, m2 := b.requests("m1"), b.requests("m2"); m1 != 50 || m2 != 50 {
			return fmt.Errorf("there are %d and %d", m1, m2)
		}
		return nil
	})
	if b.requests("b") != 0 {
		t.Errorf("a mirror of 0 %% got %d requests", b.requests("b"))
	}
	const n = 2000
	before := b.requests("a")
	for range n {
		do(t, tr, request(t, "GET a.test/half"))
	}
	atA := b.requests("a") - before
	within(t, "backend a", atA, n, 0.5)
	gwtest.Eventually(t, "half of them mirrored", func() error {
		if half := b.requests("half"); half <= atA/3 {
			return fmt.Errorf("there are %d", half)
		}
		return nil
	})
	within(t, "mirrored", b.requests("half"), atA, 0.5)
}

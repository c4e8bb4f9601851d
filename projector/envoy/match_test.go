package envoy

import (
	"testing"

	"github.com/rutter-gateway/rutter/projector/route"
)

// eachLayout runs a test against a real Envoy in both layouts.
func eachLayout(t *testing.T, w *world, b *backends, test func(t *testing.T, p *proxy)) {
	for _, layout := range []route.Layout{route.LayoutPlain, route.LayoutScoped} {
		t.Run(string(layout), func(t *testing.T) {
			test(t, serve(t, w.withLayout(layout), b))
		})
	}
}

func TestRequestsMeetTheEntryThatMatchesThem(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	condition := func(m route.Match, header, query []route.ValueMatch) route.Match {
		m.Headers, m.Query = header, query
		return m
	}
	post := prefix("/method")
	post.Method = "POST"
	cases := []struct {
		backend string
		match   route.Match
	}{
		{"exact", exactly("/exact")},
		{"prefix", prefix("/prefix/")},
		{"regex", route.Match{Path: route.PathMatch{Kind: route.Regex, Value: "/re/[0-9]+"}}},
		{"uuid", route.Match{Path: route.PathMatch{Kind: route.Regex, Value: "/re/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"}}},
		{"method", post},
		{"header", condition(prefix("/header"), []route.ValueMatch{{Name: "x-a", Kind: route.Exact, Value: "1"}, {Name: "x-a", Kind: route.Exact, Value: "ignored"}}, nil)},
		{"headerre", condition(prefix("/header"), []route.ValueMatch{{Name: "x-b", Kind: route.Regex, Value: "v[0-9]"}}, nil)},
		{"query", condition(prefix("/query"), nil, []route.ValueMatch{{Name: "q", Kind: route.Exact, Value: "1"}})},
		{"queryre", condition(prefix("/query"), nil, []route.ValueMatch{{Name: "p", Kind: route.Regex, Value: "[a-c]+"}})},
		{"root", prefix("/")},
	}
	var names []string
	var entries []route.Entry
	for _, c := range cases {
		names = append(names, c.backend)
		w.cluster(c.backend, route.HTTP1)
		entries = append(entries, entry(c.match, rule(c.backend)))
	}
	w.host("http-80", "a.test", entries...)
	w.host("http-80", "*.test", entry(prefix("/only"), rule("exact")))
	w.host("http-80", "*.deep.test", entry(prefix("/"), rule("prefix")))
	requests := []struct{ line, header, want string }{
		{"GET a.test/exact", "", "exact"},
		{"GET a.test/exact?x=/y", "", "exact"},
		{"GET a.test/exact/", "", "root"},
		{"GET a.test/prefix", "", "prefix"},
		{"GET a.test/prefix?x", "", "prefix"},
		{"GET a.test/prefix/", "", "prefix"},
		{"GET a.test/prefix/x", "", "prefix"},
		{"GET a.test/prefixes", "", "root"},
		{"GET a.test/re/12", "", "regex"},
		{"GET a.test/re/12?q=1", "", "regex"},
		{"GET a.test/re/12/x", "", "root"},
		{"GET a.test/re/123e4567-e89b-12d3-a456-426614174000", "", "uuid"},
		{"POST a.test/method", "", "method"},
		{"PUT a.test/method", "", "root"},
		{"GET a.test/header", "X-A: 1", "header"},
		{"GET a.test/header", "X-A: 11", "root"},
		{"GET a.test/header", "X-B: v7", "headerre"},
		{"GET a.test/header", "X-B: v77", "root"},
		{"GET a.test/query?z=0&q=1", "", "query"},
		{"GET a.test/query?q=11", "", "root"},
		{"GET a.test/query?p=abc", "", "queryre"},
		{"GET a.test/query?p=abcd", "", "root"},
		{"GET A.Test/exact", "", "exact"},
		{"GET a.test:8080/exact", "", "exact"},
		{"GET a.test./exact", "", "exact"},
		{"GET A.TEST.:80/exact", "", "exact"},
		{"GET b.test/only", "", "exact"},
		{"GET b.c.test/only", "", "exact"},
		{"GET b.test/other", "", ""},
		{"GET x.deep.test/only", "", "prefix"},
		{"GET deep.test/only", "", "exact"},
		{"GET test/only", "", ""},
		{"GET other/only", "", ""},
		{"GET [::1]:80/only", "", ""},
		{"GET 127.0.0.1/only", "", ""},
	}
	eachLayout(t, w, newBackends(t, names...), func(t *testing.T, p *proxy) {
		tr := p.transport(80)
		for _, r := range requests {
			var headers []string
			if r.header != "" {
				headers = append(headers, r.header)
			}
			got := do(t, tr, request(t, r.line, headers...))
			if got.echo.Backend != r.want || r.want == "" && got.status != 404 {
				t.Errorf("%s (%s): status %d from %q, want %q", r.line, r.header, got.status, got.echo.Backend, r.want)
			}
		}
	})
}

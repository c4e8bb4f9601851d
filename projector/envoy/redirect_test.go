package envoy

import (
	"fmt"
	"testing"

	"github.com/rutter-gateway/rutter/projector/route"
)

// prefixTable is the table of HTTPPathModifier.replacePrefixMatch, and what
// follows from it for the prefix "/" and for queries.
var prefixTable = []struct{ path, match, replace, want string }{
	{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
	{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
	{"/foo/bar", "/foo/", "/xyz", "/xyz/bar"},
	{"/foo/bar", "/foo/", "/xyz/", "/xyz/bar"},
	{"/foo", "/foo", "/xyz", "/xyz"},
	{"/foo/", "/foo", "/xyz", "/xyz/"},
	{"/foo/bar", "/foo", "", "/bar"},
	{"/foo/", "/foo", "", "/"},
	{"/foo", "/foo", "", "/"},
	{"/foo/", "/foo", "/", "/"},
	{"/foo", "/foo", "/", "/"},
	{"/foo/bar", "/foo", "/", "/bar"},
	{"/foo?q=/foo", "/foo", "/", "/?q=/foo"},
	{"/foo/bar?q=1", "/foo", "/xyz", "/xyz/bar?q=1"},
	{"/foo?q=1", "/foo/", "/xyz/", "/xyz?q=1"},
	{"/bar", "/", "/xyz", "/xyz/bar"},
	{"/", "/", "/xyz", "/xyz/"},
	{"/bar?q", "/", "", "/bar?q"},
	{"/f.o/bar", "/f.o", "", "/bar"},
	{"/foo/bar", "/foo", `/%41\1`, `/%41\1/bar`},
}

func TestReplacedPrefixesFollowTheTableOfThePathModifier(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("echo", route.HTTP1)
	for i, row := range prefixTable {
		change := &route.PathChange{Matched: row.match, Prefix: &row.replace}
		w.host("http-80", fmt.Sprintf("redirect-%d.test", i),
			entry(prefix(row.match), filtered(route.Filters{Redirect: &route.Redirect{Path: change, StatusCode: 302}})))
		w.host("http-80", fmt.Sprintf("rewrite-%d.test", i),
			entry(prefix(row.match), filtered(route.Filters{Rewrite: &route.Rewrite{Path: change}}, "echo")))
	}
	p := serve(t, w, newBackends(t, "echo"))
	tr := p.transport(80)
	for i, row := range prefixTable {
		host := fmt.Sprintf("redirect-%d.test", i)
		if got := do(t, tr, request(t, "GET "+host+row.path)).header.Get("Location"); got != "http://"+host+row.want {
			t.Errorf("redirect %v: Location %q", row, got)
		}
		if got := do(t, tr, request(t, fmt.Sprintf("GET rewrite-%d.test%s", i, row.path))).echo.URI; got != row.want {
			t.Errorf("rewrite %v: backend saw %q", row, got)
		}
	}
}

func TestLocationNamesTheRightHostAndPort(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80), httpChain(8080))
	cases := []struct {
		chain    string
		port     int32
		redirect route.Redirect
		// requests → Location, from the exact host a.test and from the wildcard host *.wild.test
		request, want string
	}{
		{"http-80", 80, route.Redirect{Hostname: "b.test"}, "a.test/x?y", "http://b.test/x?y"},
		{"http-80", 80, route.Redirect{Scheme: "https"}, "a.test/x", "https://a.test/x"},
		{"http-80", 80, route.Redirect{Scheme: "https"}, "a.test:8080/x", "https://a.test/x"},
		{"http-80", 80, route.Redirect{Scheme: "https"}, "w.wild.test/x", "https://w.wild.test/x"},
		{"http-80", 80, route.Redirect{Scheme: "https"}, "w.wild.test:8080/x", "https://w.wild.test:443/x"},
		{"http-80", 80, route.Redirect{Scheme: "https", Port: 8443}, "a.test/x", "https://a.test:8443/x"},
		{"http-80", 80, route.Redirect{Scheme: "https", Port: 8443}, "w.wild.test:1/x", "https://w.wild.test:8443/x"},
		{"http-80", 80, route.Redirect{Port: 80}, "a.test:80/x", "http://a.test/x"},
		{"http-80", 80, route.Redirect{Port: 443}, "a.test/x", "http://a.test:443/x"},
		{"http-80", 80, route.Redirect{Port: 8080}, "a.test/x", "http://a.test:8080/x"},
		{"http-80", 80, route.Redirect{Path: &route.PathChange{Full: new("/full")}}, "a.test/x?q=1", "http://a.test/full?q=1"},
		{"http-80", 80, route.Redirect{Path: &route.PathChange{Full: new("")}}, "a.test/x", "http://a.test/"},
		{"http-8080", 8080, route.Redirect{}, "a.test/x", "http://a.test:8080/x"},
		{"http-8080", 8080, route.Redirect{Scheme: "http"}, "a.test:8080/x", "http://a.test/x"},
		{"http-8080", 8080, route.Redirect{Hostname: "b.test", Port: 80}, "a.test:8080/x", "http://b.test/x"},
	}
	for i, c := range cases {
		c.redirect.StatusCode = 301
		m := prefix("/")
		m.Headers = []route.ValueMatch{{Name: "case", Kind: route.Exact, Value: fmt.Sprint(i)}}
		e := route.Entry{Name: fmt.Sprintf("default/r/%d/0", i), Match: m, Rule: filtered(route.Filters{Redirect: &c.redirect})}
		for _, hostname := range []string{"a.test", "*.wild.test"} {
			id := route.HostID{Gateway: testGateway, Chain: c.chain, Hostname: hostname}
			if w.hosts[id] == nil {
				w.host(c.chain, hostname)
			}
			w.hosts[id].Entries = append(w.hosts[id].Entries, e)
		}
	}
	eachLayout(t, w, newBackends(t), func(t *testing.T, p *proxy) {
		for i, c := range cases {
			got := do(t, p.transport(c.port), request(t, "GET "+c.request, fmt.Sprintf("case: %d", i)))
			if got.status != 301 || got.header.Get("Location") != c.want {
				t.Errorf("case %d, %s %+v: %d, Location %q, want %q", i, c.request, c.redirect, got.status, got.header.Get("Location"), c.want)
			}
		}
	})
}

func TestRedirectsAnswerWithTheirStatusCode(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	codes := []int{301, 302, 303, 307, 308}
	var entries []route.Entry
	for _, code := range codes {
		entries = append(entries, entry(exactly(fmt.Sprintf("/%d", code)), filtered(route.Filters{
			Redirect:        &route.Redirect{Hostname: "b.test", StatusCode: code},
			ResponseHeaders: &route.HeaderChange{Set: []route.Header{{Name: "x-added", Value: "yes"}}},
		})))
	}
	w.host("http-80", "a.test", entries...)
	p := serve(t, w, newBackends(t))
	for _, code := range codes {
		got := do(t, p.transport(80), request(t, fmt.Sprintf("GET a.test/%d", code)))
		if got.status != code || got.header.Get("x-added") != "yes" {
			t.Errorf("status %d, x-added %q, want %d", got.status, got.header.Get("x-added"), code)
		}
	}
}

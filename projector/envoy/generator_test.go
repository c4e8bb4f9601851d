package envoy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/projector/route"
)

// generator makes random worlds and requests, from alphabets so small that they meet.
type generator struct {
	*rand.Rand
	// dense is with many rules that match the same requests, conditions of all kinds, and
	// rules with several backends, so that where a request goes is chance.
	dense bool
}

var (
	generatedBackends  = []string{"default/a/80", "default/b/80", "default/c/80"}
	generatedHostnames = []string{"a.test", "b.test", "sub.a.test", "x.sub.a.test", "*.test", "*.a.test", "*.sub.a.test", "*"}
	generatedHosts     = []string{"a.test", "b.test", "sub.a.test", "x.sub.a.test", "y.sub.a.test", "z.test", "y.z.a.test", "test", "other",
		"[::1]", "[fe80::a]", "127.0.0.1", ".test", ".a.test", "a.test.test", "*", "*.test", "a.test/b", "xn--a.test", "-a.test", ""}
	generatedPaths  = []string{"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b", "/b/1", "/b/x"}
	generatedOrigin = []string{"https://x.test", "https://y.x.test", "http://x.test:8080", "https://evil"}
)

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// orDense is a number that is another one where rules are dense.
func (g *generator) orDense(sparse, dense int) int {
	if g.dense {
		return dense
	}
	return sparse
}

// generatedServers are the hostnames of HTTPS listeners that share a port.
var generatedServers = []string{"a.test", "*.test", "*.a.test", "other"}

func (g *generator) world() *world {
	chains := []route.Chain{httpChain(80), httpChain(8080)}
	for i, name := range generatedServers {
		chains = append(chains, route.Chain{ID: fmt.Sprintf("https-443-l%d", i), Port: 443, TLS: true, ServerName: name, Certificates: []string{"default/cert"}})
	}
	chains[1].Auth = []route.ListenerAuth{{Listener: "asks", Filters: []route.ExternalAuth{{Cluster: generatedBackends[2], ResponseHeaders: []string{"x-from"}}}}}
	w := newWorld(route.LayoutPlain, chains...)
	for _, name := range generatedBackends {
		w.cluster(name, route.HTTP1)
	}
	for _, c := range chains {
		for _, hostname := range generatedHostnames {
			if !g.chance(g.orDense(60, 90)) || c.TLS && (!covers(c.ServerName, hostname) || slices.Contains(generatedServers, hostname)) {
				continue
			}
			var entries []route.Entry
			for range g.IntN(6) + g.orDense(0, 12) {
				entries = append(entries, entry(g.match(), g.rule()))
			}
			if g.chance(60) {
				entries = append(entries, entry(prefix("/"), g.rule()))
			}
			h := w.host(c.ID, hostname, entries...)
			h.Misdirected = g.chance(10)
			if len(c.Auth) > 0 && g.chance(50) {
				h.Auth = "asks"
			}
		}
	}
	g.misdirect(w)
	return w
}

// misdirect adds the hosts of HTTPS listeners as package route does: each on its own
// chain and, refused, on the wider ones and on the port.
func (g *generator) misdirect(w *world) {
	for i, name := range generatedServers {
		w.host(route.MisdirectedChain(443), name).Misdirected = true
		for j, wide := range generatedServers {
			switch id := fmt.Sprintf("https-443-l%d", j); {
			case i == j:
				w.host(id, name, entry(g.match(), g.rule()))
			case covers(wide, name):
				w.host(id, name).Misdirected = true
			}
		}
	}
}

func covers(wide, narrow string) bool {
	suffix, wildcard := strings.CutPrefix(wide, "*")
	return wide == narrow || wildcard && strings.HasSuffix(narrow, suffix) && narrow != suffix
}

func (g *generator) match() route.Match {
	m := route.Match{Path: route.PathMatch{Kind: route.Prefix, Value: pick(g, generatedPaths[:len(generatedPaths)-g.orDense(0, 3)])}}
	switch g.IntN(4 + g.orDense(0, 5)) {
	case 0, 4, 5, 7, 8:
		m.Path.Kind = route.Exact
	case 1, 6:
		m.Path = route.PathMatch{Kind: route.Regex, Value: pick(g, []string{"/a.*", "/.*b", "/(a|b)/b", "/b/[0-9]+"}[:4-g.orDense(0, 1)])}
	}
	if g.chance(g.orDense(0, 20)) {
		m.Path = route.PathMatch{Kind: route.Prefix, Value: "/"}
	}
	if g.chance(g.orDense(15, 40)) {
		m.Method = pick(g, []string{"GET", "POST", "OPTIONS"})
	}
	if g.chance(g.orDense(20, 50)) {
		m.Headers = g.conditions("x-h")
	}
	if g.chance(g.orDense(20, 65)) {
		m.Query = g.conditions("q")
	}
	if g.chance(g.orDense(10, 40)) {
		m.GRPC = &route.GRPCMatch{}
	}
	return m
}

func (g *generator) conditions(name string) []route.ValueMatch {
	list := []route.ValueMatch{
		{Name: name, Kind: route.Exact, Value: "1"}, {Name: name, Kind: route.Exact, Value: "2"}, {Name: name, Kind: route.Regex, Value: "[12]"},
	}
	if g.dense { // of what is sent most
		list = append(list, list[0], list[2])
	}
	return []route.ValueMatch{pick(g, list)}
}

// rule has at most one backend, unless shares are asked for.
func (g *generator) rule() *route.Rule {
	r := rule()
	if g.chance(95) {
		r.Backends = []route.Backend{{Cluster: pick(g, append(generatedBackends, "")), Weight: 1}}
		if g.chance(20) {
			r.Backends[0].Filters = g.filters()
		}
	}
	if g.dense && g.chance(30) {
		r.Backends = append(r.Backends, route.Backend{Cluster: pick(g, append(generatedBackends, "")), Weight: uint32(1 + g.IntN(3))})
	}
	if g.chance(50) {
		r.Filters = g.filters()
	}
	return r
}

func (g *generator) filters() route.Filters {
	var f route.Filters
	if g.chance(30) {
		f.RequestHeaders = g.headerChange()
	}
	if g.chance(30) {
		f.ResponseHeaders = g.headerChange()
	}
	switch g.IntN(4) {
	case 0:
		f.Redirect = &route.Redirect{
			Scheme: pick(g, []string{"", "http", "https"}), Hostname: pick(g, []string{"", "r.test"}), Path: g.pathChange(),
			Port: pick(g, []int32{0, 80, 443, 9000}), StatusCode: pick(g, []int{301, 302, 307}),
		}
	case 1:
		f.Rewrite = &route.Rewrite{Hostname: pick(g, []string{"", "w.test"}), Path: g.pathChange()}
	}
	if g.chance(20) {
		f.Mirrors = []route.Mirror{{Cluster: pick(g, generatedBackends), Numerator: int32(g.IntN(3)), Denominator: 2}}
	}
	if g.chance(30) {
		f.CORS = &route.CORS{
			AllowOrigins:     pick(g, [][]string{{"*"}, {"https://*.x.test", "https://x.test"}, {"http://x.test:8080"}, nil}),
			AllowMethods:     pick(g, [][]string{{"*"}, {"GET", "PUT"}, nil}),
			AllowHeaders:     pick(g, [][]string{{"*"}, {"x-a", "x-b"}, nil}),
			ExposeHeaders:    pick(g, [][]string{{"*"}, {"x-c"}, nil}),
			AllowCredentials: g.chance(50),
		}
	}
	return f
}

func (g *generator) headerChange() *route.HeaderChange {
	value := fmt.Sprint(g.IntN(3))
	return pick(g, []*route.HeaderChange{
		{Set: []route.Header{{Name: "X-H", Value: value}}}, {Add: []route.Header{{Name: "x-h", Value: value}}}, {Remove: []string{"X-h"}},
		{Set: []route.Header{{Name: "host", Value: "h.test"}}},
	})
}

func (g *generator) pathChange() *route.PathChange {
	switch g.IntN(3) {
	case 0:
		return &route.PathChange{Full: new(pick(g, []string{"/full", "/"}))}
	case 1:
		return &route.PathChange{Prefix: new(pick(g, []string{"", "/", "/p", "/p/"}))}
	}
	return nil
}

// request is the name of a listener, an HTTP/1.1 request to it, and the server name to
// ask for; "" is without TLS.
func (g *generator) request() (listener, server, text string) {
	host := pick(g, generatedHosts)
	if g.chance(g.orDense(50, 95)) {
		host = pick(g, generatedHosts[:7])
	}
	if g.chance(20) {
		host = strings.ToUpper(host)
	}
	host += pick(g, []string{"", "", "", "", ".", "..", ":80", ":8080", ".:80", ":", ":x", ":80.", ":99999", ":80:80"})
	target := pick(g, generatedPaths[:len(generatedPaths)-g.orDense(0, 3)])
	if g.chance(g.orDense(100, 25)) {
		target += pick(g, []string{"", "", "/", "//b", "/../b", "/%2e%2e/b", "%2fb", "/%62"})
	}
	if g.chance(g.orDense(30, 90)) {
		target += pick(g, []string{"?q=1", "?q=2&q=1", "?x&q=2", "?x=/a", "?q=%31"}[:g.orDense(5, 4)])
	}
	switch g.IntN(20) {
	case 0:
		target = "http://" + pick(g, generatedHosts[:7]) + target // goes before the Host header
	case 1:
		target = "*"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n", pick(g, []string{"GET", "GET", "POST", "OPTIONS"}), target, host)
	if g.chance(g.orDense(30, 85)) {
		fmt.Fprintf(&b, "x-h: %d\r\n", g.orDense(0, 1)+g.IntN(g.orDense(4, 2)))
	}
	if g.chance(30) {
		fmt.Fprintf(&b, "Origin: %s\r\n", pick(g, generatedOrigin))
		if g.chance(60) {
			b.WriteString("Access-Control-Request-Method: PUT\r\n")
		}
		if g.chance(30) {
			b.WriteString("Access-Control-Request-Headers: x-a\r\n")
		}
	}
	if g.chance(g.orDense(15, 55)) {
		b.WriteString("Content-Type: application/grpc\r\n")
	}
	if g.chance(5) {
		fmt.Fprintf(&b, "%s: http-80/a.test\r\n", scopeHeader) // a client that wants another scope
	}
	b.WriteString("\r\n")
	listener = pick(g, []string{"port-80", "port-8080", "port-443"})
	if listener == "port-443" {
		server = pick(g, []string{"a.test", "b.test", "sub.a.test", "other"})
	}
	return listener, server, b.String()
}

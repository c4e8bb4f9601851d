package envoy

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
	"github.com/rutter-gateway/rutter/projector/route"
)

// TestEvaluationAgreesWithEnvoy puts random worlds into a real Envoy, and sends it
// random requests: package evaluate must name the listener, the host, the route, all
// backends and the status that Envoy came to. RUTTER_SEED and RUTTER_ROUNDS repeat a
// failure or look for longer, as `make explain` does.
func TestEvaluationAgreesWithEnvoy(t *testing.T) {
	seed, rounds := seedAndRounds(t, 3)
	b := newBackends(t, generatedBackends...)
	total := coverage{kinds: map[string]int{}, filters: map[string]int{}}
	for round := range rounds {
		seed := seed + uint64(round)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Logf("repeat with RUTTER_SEED=%d RUTTER_ROUNDS=1 go test -run TestEvaluationAgreesWithEnvoy ./projector/envoy", seed)
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 3)), dense: true}
			w := g.world().withLayout([]route.Layout{route.LayoutPlain, route.LayoutScoped}[round%2])
			w.certificate(t, "cert")
			config := evaluated(t, w, func(*routev3.VirtualHost) {})
			proxy := serveAs(t, w, b, func(r routing.Resource) routing.Resource { return telling(t, r) })
			shared := map[string]bool{}
			for sent := 0; sent < 1000; {
				listener, server, text := g.request()
				request, ok := requestOf(t, listener, server, text)
				if !ok {
					continue
				}
				sent++
				answer, err := config.Answer(request)
				if err != nil {
					t.Fatal(err)
				}
				total.count(w, answer)
				ask := func() observed { return raw(t, proxy.ports[listener], server, text) }
				if got := ask(); !agrees(answer, got) {
					t.Errorf("%s %s, request\n%s\nevaluated %+v\nobserved %+v", listener, server, text, answer, got)
				}
				if rule := answer.Chain + " " + answer.Host + " " + answer.Route; len(answer.Shares) > 1 && !shared[rule] {
					shared[rule] = true
					if missing := unseen(answer, ask); len(missing) > 0 {
						t.Errorf("%s %s, request\n%s\nevaluated %+v\nand of that nobody ever came to %v", listener, server, text, answer, missing)
					}
				}
			}
		})
	}
	t.Log(total)
	if rounds >= 10 {
		total.check(t)
	}
}

// evaluated is what package evaluate reads of a world, after change.
func evaluated(t *testing.T, w *world, change func(*routev3.VirtualHost)) *evaluate.Config {
	t.Helper()
	resources := map[routing.ResourceName]routing.Resource{}
	for _, o := range outputs(t, w, w.everything()) {
		for _, r := range o.Resources {
			resources[r.ResourceName] = hostsOf(t, r, change)
		}
	}
	config, err := evaluate.Read(resources)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// hostsOf changes the virtual hosts of a resource.
func hostsOf(t *testing.T, r routing.Resource, change func(*routev3.VirtualHost)) routing.Resource {
	t.Helper()
	switch r.Type {
	case TypeRoute:
		config := decode(t, r, &routev3.RouteConfiguration{})
		for _, h := range config.GetVirtualHosts() {
			change(h)
		}
		r.Body = marshal(t, config)
	case TypeScope:
		scope := decode(t, r, &routev3.ScopedRouteConfiguration{})
		for _, h := range scope.GetRouteConfiguration().GetVirtualHosts() {
			change(h)
		}
		r.Body = marshal(t, scope)
	}
	return r
}

// What the Envoy of this test says of the listener, the host and the route that it has
// chosen.
const (
	chainTold = "X-Chain-Told"
	hostTold  = "X-Host-Told"
	routeTold = "X-Route-Told"
)

func telling(t *testing.T, r routing.Resource) routing.Resource {
	told := func(name, value string) *corev3.HeaderValueOption {
		return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
	}
	return hostsOf(t, r, func(h *routev3.VirtualHost) {
		h.ResponseHeadersToAdd = append(h.ResponseHeadersToAdd, told(chainTold, "%FILTER_CHAIN_NAME%"), told(hostTold, h.GetName()))
		for _, one := range h.GetRoutes() {
			one.ResponseHeadersToAdd = append(one.ResponseHeadersToAdd, told(routeTold, one.GetName()))
		}
	})
}

// requestOf reads the text of a request that a URL can be for.
func requestOf(t *testing.T, listener, server, text string) (*evaluate.Request, bool) {
	t.Helper()
	var port uint32
	if _, err := fmt.Sscanf(listener, "port-%d", &port); err != nil {
		t.Fatal(err)
	}
	method, rest, _ := strings.Cut(text, " ")
	target, _, _ := strings.Cut(rest, " ")
	r := &evaluate.Request{Port: port, TLS: server != "", ServerName: server, Method: method, Target: target}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.Contains(name, " ") {
			if name == "Host" {
				r.Authority = value
			}
			r.Headers = append(r.Headers, evaluate.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	u, err := url.Parse("http://" + r.Authority + r.Target)
	if err != nil || u.Host != r.Authority || u.Hostname() == "" || !strings.HasPrefix(target, "/") {
		return nil, false
	}
	_, err = http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	return r, err == nil
}

func agrees(a *evaluate.Answer, got observed) bool {
	told := func(name string) string { return strings.Join(got.Headers[name], ",") }
	if a.Route != "" && told(routeTold) != a.Route && told(routeTold) != "" {
		return false
	}
	if host := told(hostTold); host != "" && (host != a.Host || told(chainTold) != a.Chain) {
		return false
	}
	return slices.ContainsFunc(a.Shares, func(s evaluate.Share) bool {
		switch {
		case s.Cluster != "":
			return got.Status == 200 && told("X-From") == s.Cluster && told(routeTold) == a.Route
		}
		return got.Status == s.Status && told("X-From") == "" && told("Grpc-Status") == grpcCodes[s.GRPC]
	})
}

// unseen are the shares that no request comes to, however often it is sent: with the
// shares of this test, one in five at least, that is none by chance.
func unseen(a *evaluate.Answer, ask func() observed) []evaluate.Share {
	missing := slices.Clone(a.Shares)
	for range 200 {
		got := ask()
		missing = slices.DeleteFunc(missing, func(s evaluate.Share) bool {
			one := *a
			one.Shares = []evaluate.Share{s}
			return agrees(&one, got)
		})
		if len(missing) == 0 {
			return nil
		}
	}
	return missing
}

// grpcCodes are the numbers of the codes.
var grpcCodes = map[string]string{"": "", "OK": "0", "UNKNOWN": "2", "PERMISSION_DENIED": "7", "UNIMPLEMENTED": "12", "INTERNAL": "13", "UNAVAILABLE": "14", "UNAUTHENTICATED": "16"}

// coverage is which requests a test has tried.
type coverage struct {
	requests, several int
	kinds, filters    map[string]int // of the route taken
}

func (c *coverage) count(w *world, a *evaluate.Answer) {
	c.requests++
	matching := 0
	for _, try := range a.Tried {
		if try.Matches {
			matching++
		}
	}
	if matching > 1 {
		c.several++
	}
	h := w.hosts[route.HostID{Gateway: testGateway, Chain: a.Chain, Hostname: a.Host}]
	if h == nil {
		return
	}
	i := slices.IndexFunc(h.Entries, func(e route.Entry) bool { return e.Name == a.Route })
	if i < 0 {
		return
	}
	m := h.Entries[i].Match
	c.kinds[[]string{"prefix", "exact", "regex"}[slices.Index([]route.MatchKind{route.Prefix, route.Exact, route.Regex}, m.Path.Kind)]]++
	has := func(list []route.ValueMatch, kind route.MatchKind) bool {
		return slices.ContainsFunc(list, func(v route.ValueMatch) bool { return v.Kind == kind })
	}
	for kind, is := range map[string]bool{
		"method": m.Method != "", "grpc": m.GRPC != nil,
		"header": has(m.Headers, route.Exact), "header regex": has(m.Headers, route.Regex),
		"query": has(m.Query, route.Exact), "query regex": has(m.Query, route.Regex),
	} {
		if is {
			c.kinds[kind]++
		}
	}
	f := h.Entries[i].Rule.Filters
	for filter, is := range map[string]bool{
		"request headers": f.RequestHeaders != nil, "response headers": f.ResponseHeaders != nil, "redirect": f.Redirect != nil,
		"rewrite": f.Rewrite != nil, "mirror": len(f.Mirrors) > 0, "CORS": f.CORS != nil,
	} {
		if is {
			c.filters[filter]++
		}
	}
}

func (c coverage) String() string {
	out := fmt.Sprintf("%d requests, of which %.1f%% match several routes; the route taken has a condition:", c.requests, c.percent(c.several))
	for _, kind := range slices.Sorted(maps.Keys(c.kinds)) {
		out += fmt.Sprintf(" %s %.1f%%,", kind, c.percent(c.kinds[kind]))
	}
	out += " or a filter:"
	for _, filter := range slices.Sorted(maps.Keys(c.filters)) {
		out += fmt.Sprintf(" %s %.1f%%,", filter, c.percent(c.filters[filter]))
	}
	return strings.TrimSuffix(out, ",")
}

func (c coverage) percent(n int) float64 { return 100 * float64(n) / float64(max(c.requests, 1)) }

// check fails where a test has hardly tried something.
func (c coverage) check(t *testing.T) {
	t.Helper()
	if c.percent(c.several) < 30 {
		t.Errorf("only %.1f%% of the requests match several routes", c.percent(c.several))
	}
	for _, kind := range []string{"prefix", "exact", "regex", "method", "header", "header regex", "query", "query regex", "grpc"} {
		if c.percent(c.kinds[kind]) < 5 {
			t.Errorf("only %.1f%% of the requests are routed by a condition on %s", c.percent(c.kinds[kind]), kind)
		}
	}
	for _, filter := range []string{"request headers", "response headers", "redirect", "rewrite", "mirror", "CORS"} {
		if c.percent(c.filters[filter]) < 1 {
			t.Errorf("only %.1f%% of the requests meet the filter %s", c.percent(c.filters[filter]), filter)
		}
	}
}

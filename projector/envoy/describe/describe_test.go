package describe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
	"github.com/rutter-gateway/rutter/projector/route"
)

// tables is the routing of one Gateway.
type tables struct {
	gateway route.Gateway
	hosts   []*route.Host
	cluster *route.Cluster // the only one
	secrets map[string]*route.Secret
}

func (t *tables) Gateway(string) *route.Gateway { return &t.gateway }

func (t *tables) Host(id route.HostID) *route.Host {
	for _, h := range t.hosts {
		if h.ID == id {
			return h
		}
	}
	return nil
}

func (t *tables) Hosts(_, chain string) []*route.Host {
	var out []*route.Host
	for _, h := range t.hosts {
		if h.ID.Chain == chain {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *route.Host) int { return strings.Compare(a.ID.Hostname, b.ID.Hostname) })
	return out
}

func (t *tables) Cluster(route.ClusterID) *route.Cluster { return t.cluster }
func (t *tables) Pin(string) *route.Pin                  { return nil }
func (t *tables) Secret(id route.SecretID) *route.Secret { return t.secrets[id.Name] }

const gatewayName = "default/gw"

func newTables(chains ...route.Chain) *tables {
	if len(chains) == 0 {
		chains = []route.Chain{{ID: "http-80", Port: 80}}
	}
	return &tables{
		gateway: route.Gateway{Key: events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}, ListenAddress: "0.0.0.0", Chains: chains},
		secrets: map[string]*route.Secret{},
	}
}

func (t *tables) host(chain, hostname string, entries ...route.Entry) {
	for i := range entries {
		entries[i].Name = fmt.Sprintf("%s/%s/%d/%d", entries[i].Rule.Route.Namespace, entries[i].Rule.Route.Name, entries[i].Rule.Index, i)
	}
	t.hosts = append(t.hosts, &route.Host{ID: route.HostID{Gateway: gatewayName, Chain: chain, Hostname: hostname}, Entries: entries})
}

// describe publishes the tables in a layout and describes the result.
func (t *tables) describe(tb testing.TB, layout route.Layout) *describe.Gateway {
	tb.Helper()
	t.gateway.Layout = layout
	change := route.Change{Gateways: []string{gatewayName}}
	for _, h := range t.hosts {
		change.Hosts = append(change.Hosts, h.ID)
	}
	if t.cluster != nil {
		change.Clusters = []route.ClusterID{t.cluster.ID}
	}
	for name := range t.secrets {
		change.Secrets = append(change.Secrets, route.SecretID{Gateway: gatewayName, Name: name})
	}
	resources := map[routing.ResourceName]routing.Resource{}
	for _, out := range envoy.Resources(t, change) {
		if out.Problem != "" {
			tb.Fatalf("%v: %s", out.ID, out.Problem)
		}
		for _, r := range out.Resources {
			resources[r.ResourceName] = r
		}
	}
	g, err := describe.Of(gatewayName, resources)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func entry(path string, r route.Rule) route.Entry {
	r.Route = events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "r"}
	return route.Entry{Match: route.Match{Path: route.PathMatch{Kind: route.Prefix, Value: path}}, Rule: &r}
}

func to(backends ...route.Backend) route.Rule { return route.Rule{Backends: backends} }

func backend(name string, weight uint32) route.Backend {
	return route.Backend{Cluster: name, Weight: weight}
}

// everyFeature has each thing that a description can say.
func everyFeature() *tables {
	t := newTables(route.Chain{ID: "http-80", Port: 80}, route.Chain{ID: "https-443-web", Port: 443, TLS: true, ServerName: "*.example", Certificates: []string{"default/cert"}})
	filtered := to(backend("default/a/80", 1))
	filtered.Filters = route.Filters{
		RequestHeaders:  &route.HeaderChange{Set: []route.Header{{Name: "X-A", Value: "50%"}}, Add: []route.Header{{Name: "X-B", Value: "2"}}, Remove: []string{"X-C"}},
		ResponseHeaders: &route.HeaderChange{Set: []route.Header{{Name: "X-D", Value: "4"}}},
		Rewrite:         &route.Rewrite{Hostname: "inner.example", Path: &route.PathChange{Prefix: new("/v2")}},
		Mirrors:         []route.Mirror{{Cluster: "default/copy/80", Numerator: 5, Denominator: 100}},
		CORS:            &route.CORS{AllowOrigins: []string{"https://*.example"}, AllowMethods: []string{"GET", "PUT"}, AllowHeaders: []string{"*"}, AllowCredentials: true},
	}
	filtered.Timeout, filtered.BackendTimeout = new(5*time.Second), new(time.Second)
	filtered.Retry = &route.Retry{Attempts: 3, Codes: []uint32{502, 503}, Backoff: new(100 * time.Millisecond)}
	redirect := route.Rule{Index: 1, Filters: route.Filters{Redirect: &route.Redirect{Scheme: "https", StatusCode: 301, Path: &route.PathChange{Full: new("/new")}}}}
	perBackend := to(backend("default/a/80", 3), route.Backend{Cluster: "default/b/80", Weight: 1, Filters: route.Filters{Rewrite: &route.Rewrite{Hostname: "b.example"}}})
	perBackend.Index = 2
	weighted := to(backend("default/a/80", 9), route.Backend{Weight: 1})
	weighted.Index = 3
	matched := entry("/m", weighted)
	matched.Match = route.Match{
		Path: route.PathMatch{Kind: route.Regex, Value: "/m[0-9]+"}, Method: "POST",
		Headers: []route.ValueMatch{{Name: "x-user", Kind: route.Exact, Value: "anna"}},
		Query:   []route.ValueMatch{{Name: "q", Kind: route.Regex, Value: "a.*"}},
	}
	t.host("http-80", "a.example", entry("/api", filtered), entry("/old", redirect), matched)
	t.host("http-80", "*.wild.example", entry("/", perBackend), entry("/old", redirect))
	t.host("http-80", "*")
	t.host("https-443-web", "a.example", entry("/", to()))
	t.hosts = append(t.hosts, &route.Host{ID: route.HostID{Gateway: gatewayName, Chain: "https-443-web", Hostname: "b.example"}, Misdirected: true})
	return t
}

func TestRoutingIsDescribedAsItsOwnerWroteIt(t *testing.T) {
	tables := everyFeature()
	der, leaf := selfSigned(t)
	tables.secrets["default/cert"] = &route.Secret{CertificateChain: der}
	g := tables.describe(t, route.LayoutPlain)
	var got strings.Builder
	for _, h := range g.Hosts {
		fmt.Fprintf(&got, "%s %s misdirected=%v\n", h.Listener, h.Hostname, h.Misdirected)
		for _, r := range h.Rules {
			fmt.Fprintf(&got, "  %s | %s #%d.%d | %s | %s\n", r.Match, r.Route, r.Index, r.MatchIndex, r.Backends, strings.Join(r.Filters, "; "))
		}
	}
	want := `http-80 * misdirected=false
http-80 *.wild.example misdirected=false
  prefix / | default/r #2.0 | [default/a/80 75% default/b/80 25% [rewrite host b.example]] | 
  prefix /old | default/r #1.1 | [] | redirect 301 scheme https path /new
http-80 a.example misdirected=false
  prefix /api | default/r #0.0 | [default/a/80] | set header X-A: 50%; add header X-B: 2; remove header X-C; set response header X-D: 4; rewrite host inner.example; rewrite prefix /v2; mirror to default/copy/80 5%; timeout 5s; retry 3 times on 502,503 backoff 100ms attempt timeout 1s; cors origins ~https://[^/:@]+\.example(?::443)? methods GET, PUT headers * max age 5 with credentials
  prefix /old | default/r #1.1 | [] | redirect 301 scheme https host a.example path /new
  regex /m[0-9]+ method POST header x-user=anna query q~a.* | default/r #3.2 | [default/a/80 90% unresolved (500) 10%] | 
https-443-web a.example misdirected=false
  prefix / | default/r #0.0 | [unresolved (500)] | 
https-443-web b.example misdirected=true
`
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
	wantListeners := []describe.Listener{
		{Name: "http-80", Port: 80},
		{Name: "https-443-web", Port: 443, TLS: true, ServerName: "*.example", Certificates: []describe.Certificate{{
			Secret: "default/cert", Subject: "CN=a.example", Names: []string{"a.example", "127.0.0.1"}, NotAfter: leaf.NotAfter, Fingerprint: g.Listeners[1].Certificates[0].Fingerprint,
		}}},
	}
	if !reflect.DeepEqual(g.Listeners, wantListeners) {
		t.Errorf("got %+v", g.Listeners)
	}
}

func TestBothLayoutsHaveTheSameDescription(t *testing.T) {
	check := func(t *testing.T, tables *tables) {
		t.Helper()
		plain, scoped := tables.describe(t, route.LayoutPlain), tables.describe(t, route.LayoutScoped)
		if !reflect.DeepEqual(plain, scoped) {
			a, _ := json.MarshalIndent(plain, "", " ")
			b, _ := json.MarshalIndent(scoped, "", " ")
			t.Fatalf("plain:\n%s\nscoped:\n%s", a, b)
		}
		if d := describe.Diff(plain, scoped); d != nil {
			t.Fatalf("differences: %v", d)
		}
	}
	check(t, everyFeature())
	for seed := range uint64(200) {
		check(t, randomTables(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// randomTables picks hosts, rules and filters of everyFeature at random.
func randomTables(seed uint64) *tables {
	r := mathrand.New(mathrand.NewPCG(seed, 1))
	all := everyFeature()
	var pool []route.Entry
	for _, h := range all.hosts {
		pool = append(pool, h.Entries...)
	}
	t := newTables(all.gateway.Chains...)
	for _, chain := range all.gateway.Chains {
		for _, hostname := range []string{"*", "*.example", "a.example", "b.example", "x.wild.example"} {
			var entries []route.Entry
			for i := range r.IntN(4) {
				e := pool[r.IntN(len(pool))]
				rule := *e.Rule
				rule.Index = i
				e.Rule = &rule
				entries = append(entries, e)
			}
			if r.IntN(3) > 0 {
				t.host(chain.ID, hostname, entries...)
			}
		}
	}
	return t
}

func TestUnreadableResourceIsNamed(t *testing.T) {
	name := routing.ResourceName{Type: envoy.TypeRoute, Name: "http-80"}
	_, err := describe.Of(gatewayName, map[routing.ResourceName]routing.Resource{name: {ResourceName: name, Body: []byte{0xff}}})
	if err == nil || !strings.Contains(err.Error(), "http-80") || !strings.Contains(err.Error(), gatewayName) {
		t.Errorf("got %v", err)
	}
}

func selfSigned(t *testing.T) ([]byte, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example"}, DNSNames: []string{"a.example"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), template
}

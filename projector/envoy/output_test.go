package envoy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/route"
)

// names are kind:name of the outputs, with "-" before those without resources.
func names(out []Output) (list []string) {
	for _, o := range out {
		name := o.ID.Kind + ":" + o.ID.Name
		if len(o.Resources) == 0 {
			name = "-" + name
		}
		list = append(list, name)
	}
	return list
}

func wantNames(t *testing.T, got []Output, want ...string) {
	t.Helper()
	if !slices.Equal(names(got), want) {
		t.Errorf("outputs %q, want %q", names(got), want)
	}
}

func hostID(chain, hostname string) route.HostID {
	return route.HostID{Gateway: testGateway, Chain: chain, Hostname: hostname}
}

func TestAChangeTouchesTheOutputsOfBothLayouts(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80), httpChain(81))
	w.host("http-80", "a.test", entry(prefix("/"), rule("default/a/80")))
	w.host("http-80", "*.test", entry(prefix("/"), rule("default/a/80")))
	w.cluster("default/a/80", route.HTTP1)
	hosts := route.Change{Hosts: []route.HostID{hostID("http-80", "*.other"), hostID("http-80", "*.test"), hostID("http-80", "a.test"), hostID("http-80", "gone.test")}}
	gateway := route.Change{Gateways: []string{testGateway}}

	wantNames(t, outputs(t, w, hosts), "routes:http-80", "-scope:http-80/*", "-scope:http-80/a.test", "-scope:http-80/gone.test")
	wantNames(t, outputs(t, w, gateway), "listeners:", "routes:http-80", "-scope:http-80/*", "routes:http-81", "-scope:http-81/*")

	s := w.withLayout(route.LayoutScoped)
	wantNames(t, outputs(t, s, hosts), "-routes:http-80", "scope:http-80/*", "scope:http-80/a.test", "-scope:http-80/gone.test")
	wantNames(t, outputs(t, s, gateway), "listeners:", "-routes:http-80", "scope:http-80/*", "-routes:http-81", "scope:http-81/*")

	change := route.Change{
		Clusters: []route.ClusterID{{Gateway: testGateway, Name: "default/a/80"}, {Gateway: testGateway, Name: "gone"}},
		Secrets:  []route.SecretID{{Gateway: testGateway, Name: "gone"}},
	}
	wantNames(t, outputs(t, w, change), "cluster:default/a/80", "-cluster:gone", "-secret:gone")
}

func TestAGoneGatewayOrChainLeavesNothing(t *testing.T) {
	for _, layout := range []route.Layout{route.LayoutPlain, route.LayoutScoped} {
		w := newWorld(layout, httpChain(80))
		wantNames(t, outputs(t, w, route.Change{Hosts: []route.HostID{hostID("http-81", "*")}}), "-routes:http-81", "-scope:http-81/*")
		delete(w.gateways, testGateway)
		wantNames(t, outputs(t, w, route.Change{Gateways: []string{testGateway}, Hosts: []route.HostID{hostID("http-80", "*"), hostID("http-80", "a.test")}}),
			"-listeners:", "-routes:http-80", "-scope:http-80/*", "-scope:http-80/a.test")
	}
}

// oneHost refuses to list the hosts of a chain.
type oneHost struct {
	*world
	t *testing.T
}

func (o oneHost) Hosts(gateway, chain string) []*route.Host {
	o.t.Errorf("all hosts of %s %s are read", gateway, chain)
	return nil
}

func TestAChangedHostInTheScopedLayoutReadsNoOther(t *testing.T) {
	w := newWorld(route.LayoutScoped, httpChain(80))
	w.host("http-80", "a.test", entry(prefix("/"), rule("default/a/80")))
	wantNames(t, Resources(oneHost{w, t}, route.Change{Hosts: []route.HostID{hostID("http-80", "a.test")}}), "-routes:http-80", "scope:http-80/a.test")
}

func TestWhatBreaksTheRulesOfTheEnvoyAPIIsReportedAndCostsNoOtherRoute(t *testing.T) {
	good := entry(prefix("/good"), rule("default/a/80"))
	header := entry(prefix("/header"), filtered(route.Filters{RequestHeaders: &route.HeaderChange{Set: []route.Header{{Name: "x", Value: "two\nlines"}}}}, "default/a/80"))
	cors := entry(prefix("/cors"), filtered(route.Filters{CORS: &route.CORS{AllowMethods: []string{"\xff"}}}, "default/a/80"))
	unsaid := entry(route.Match{Path: route.PathMatch{Kind: route.Regex}}, rule("default/a/80"))
	for _, layout := range []route.Layout{route.LayoutPlain, route.LayoutScoped} {
		w := newWorld(layout, httpChain(80))
		w.host("http-80", "bad.test", header, good, cors, unsaid)
		var out Output
		for _, o := range Resources(w, route.Change{Hosts: []route.HostID{hostID("http-80", "bad.test")}}) {
			if len(o.Resources) > 0 {
				out = o
			}
		}
		if !strings.Contains(out.Problem, "bad.test") || !strings.Contains(out.Problem, "entry default/r/2/0") {
			t.Errorf("%s: problem %q", layout, out.Problem)
		}
		config := &routev3.RouteConfiguration{}
		if layout == route.LayoutScoped {
			config = decode(t, out.Resources[0], &routev3.ScopedRouteConfiguration{}).RouteConfiguration
		} else {
			config = decode(t, out.Resources[0], config)
		}
		got := map[string]uint32{} // what answers by itself
		for _, r := range config.VirtualHosts[0].Routes {
			got[r.Name] = r.GetDirectResponse().GetStatus()
		}
		want := map[string]uint32{"default/r/0/0": 500, "default/r/1/0": 0, "default/r/2/0": 500}
		if layout == route.LayoutScoped {
			want["no-match"] = 404
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: answers %v, want %v", layout, got, want)
		}
	}
}

func TestAListenerThatBreaksTheRulesOfTheEnvoyAPICostsNoOther(t *testing.T) {
	w := newWorld(route.LayoutScoped, httpChain(80), httpChain(81), httpChain(1<<16)) // which is no port
	out := Resources(w, route.Change{Gateways: []string{testGateway}})[0]
	if out.Problem == "" || len(out.Resources) != 2 {
		t.Errorf("problem %q, and %d listeners of two others", out.Problem, len(out.Resources))
	}
}

func TestASecretCarriesItsKeySealedOnly(t *testing.T) {
	w := newWorld(route.LayoutPlain)
	id := route.SecretID{Gateway: testGateway, Name: "default/cert"}
	key := events.Key{Resource: events.Secrets, Namespace: "default", Name: "cert"}
	w.secrets[id] = &route.Secret{ID: id, Key: key, CertificateChain: []byte("public"), SealedKey: []byte("sealed")}
	change := route.Change{Secrets: []route.SecretID{id}}
	first := outputs(t, w, change)[0].Resources[0]
	s := decode(t, first, &tlsv3.Secret{})
	if string(first.Sealed) != "sealed" || s.Name != id.Name || first.Origin != key ||
		string(s.GetTlsCertificate().GetCertificateChain().GetInlineBytes()) != "public" ||
		len(s.GetTlsCertificate().GetPrivateKey().GetInlineBytes()) != 0 {
		t.Errorf("%v", s)
	}
	w.secrets[id].SealedKey = []byte("sealed again")
	if again := outputs(t, w, change)[0].Resources[0]; again.Digest != first.Digest {
		t.Error("sealing again changes the digest")
	}
}

func TestResourcesNameTheObjectTheyCameFrom(t *testing.T) {
	w := newWorld(route.LayoutScoped, httpChain(80))
	w.host("http-80", "a.test", entry(prefix("/"), rule("default/a/80")))
	w.host("http-80", "*.test")
	w.cluster("default/a/80", route.HTTP1)
	for _, o := range outputs(t, w, w.everything()) {
		want := events.Gateways
		switch {
		case o.ID.Kind == KindCluster:
			want = events.Services
		case o.ID.Name == "http-80/a.test":
			want = events.HTTPRoutes
		}
		for _, r := range o.Resources {
			if r.Origin.Resource != want {
				t.Errorf("%v: origin %v, want one of %s", o.ID, r.Origin, want)
			}
		}
	}
}

func BenchmarkOneHostOfManyInTheScopedLayout(b *testing.B) {
	w := newWorld(route.LayoutScoped, httpChain(80))
	for i := range 10_000 {
		w.host("http-80", fmt.Sprintf("h%d.test", i), entry(prefix("/a"), rule("default/a/80")), entry(prefix("/"), rule("default/b/80")))
	}
	change := route.Change{Hosts: []route.HostID{hostID("http-80", "h7.test")}}
	b.ReportAllocs()
	for b.Loop() {
		Resources(w, change)
	}
}

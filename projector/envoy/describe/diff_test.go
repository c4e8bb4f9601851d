package describe_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
	"github.com/rutter-gateway/rutter/projector/route"
)

// diff of two routings of the host a.example, as text.
func diff(t *testing.T, before, after []route.Entry) string {
	t.Helper()
	a, b := newTables(), newTables()
	a.host("http-80", "a.example", before...)
	b.host("http-80", "a.example", after...)
	return text(describe.Diff(a.describe(t, route.LayoutScoped), b.describe(t, route.LayoutPlain)))
}

func text(list []describe.Difference) string {
	var out strings.Builder
	for _, d := range list {
		fmt.Fprintf(&out, "%s %s: %s\n", d.Kind, d, strings.Join(d.Details, "; "))
	}
	return out.String()
}

func of(name string, e route.Entry) route.Entry {
	rule := *e.Rule
	rule.Route = events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: name}
	e.Rule = &rule
	return e
}

func TestDifferenceIsToldInRoutingTerms(t *testing.T) {
	a, b := to(backend("default/a/80", 1)), to(backend("default/b/80", 1))
	canary := to(backend("default/a/80", 3), backend("default/b/80", 1))
	limited := a
	limited.Filters.RequestHeaders = &route.HeaderChange{Set: []route.Header{{Name: "X-A", Value: "1"}}}
	for name, c := range map[string]struct {
		before, after []route.Entry
		want          string
	}{
		"nothing":             {[]route.Entry{entry("/", a)}, []route.Entry{entry("/", a)}, ""},
		"rule added":          {nil, []route.Entry{entry("/", a)}, "added rule http-80 a.example prefix /: route default/r; to default/a/80\n"},
		"rule removed":        {[]route.Entry{entry("/", a)}, nil, "removed rule http-80 a.example prefix /: route default/r; to default/a/80\n"},
		"other destination":   {[]route.Entry{entry("/", a)}, []route.Entry{entry("/", b)}, "changed rule http-80 a.example prefix /: - to default/a/80; + to default/b/80\n"},
		"other weights":       {[]route.Entry{entry("/", a)}, []route.Entry{entry("/", canary)}, "changed rule http-80 a.example prefix /: - to default/a/80; + to default/a/80 75%; + to default/b/80 25%\n"},
		"filter added":        {[]route.Entry{entry("/", a)}, []route.Entry{entry("/", limited)}, "changed rule http-80 a.example prefix /: + set header X-A: 1\n"},
		"other route":         {[]route.Entry{of("r1", entry("/", a))}, []route.Entry{of("r2", entry("/", a))}, "changed rule http-80 a.example prefix /: - route default/r1; + route default/r2\n"},
		"other order":         {[]route.Entry{entry("/x", a), entry("/y", a)}, []route.Entry{entry("/y", a), entry("/x", a)}, "changed rule http-80 a.example prefix /x: order: is tried after prefix /y now\n"},
		"inserted is no move": {[]route.Entry{entry("/x", a), entry("/y", a)}, []route.Entry{entry("/new", a), entry("/x", a), entry("/y", a)}, "added rule http-80 a.example prefix /new: route default/r; to default/a/80\n"},
		"other match":         {[]route.Entry{entry("/x", a)}, []route.Entry{entry("/y", a)}, "changed rule http-80 a.example prefix /y: - match prefix /x; + match prefix /y\n"},
		"same match twice": {
			[]route.Entry{of("old", entry("/", a)), of("new", entry("/", b))}, []route.Entry{of("new", entry("/", b))},
			"removed rule http-80 a.example prefix /: route default/old; to default/a/80\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := diff(t, c.before, c.after); got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

func TestGatewayThatIsNotServedDiffersInEverything(t *testing.T) {
	tables := newTables()
	tables.host("http-80", "a.example", entry("/", to(backend("default/a/80", 1))))
	g := tables.describe(t, route.LayoutPlain)
	want := "added listener http-80: \nadded host http-80 a.example: \nadded rule http-80 a.example prefix /: route default/r; to default/a/80\n"
	if got := text(describe.Diff(nil, g)); got != want {
		t.Errorf("got:\n%s", got)
	}
	if got := text(describe.Diff(g, nil)); got != strings.ReplaceAll(want, "added", "removed") {
		t.Errorf("got:\n%s", got)
	}
}

func TestRenewedCertificateIsADifferenceOfTheListener(t *testing.T) {
	tables := everyFeature()
	var described []*describe.Gateway
	for range 2 {
		chain, _ := selfSigned(t)
		tables.secrets["default/cert"] = &route.Secret{CertificateChain: chain}
		described = append(described, tables.describe(t, route.LayoutPlain))
	}
	got := describe.Diff(described[0], described[1])
	if len(got) != 1 || got[0].Listener != "https-443-web" || len(got[0].Details) != 2 || !strings.HasPrefix(got[0].Details[1], "+ certificate default/cert (") {
		t.Errorf("got %+v", got)
	}
}

func TestOtherAuthoritiesAreADifferenceOfWhatTrustsThem(t *testing.T) {
	const cluster, ca = "default/a/443/tls/p", "ca/policy/default/p"
	tables := newTables(route.Chain{ID: "https-443-web", Port: 443, TLS: true, Certificates: []string{"default/cert"}, Clients: &route.ClientValidation{CA: ca}})
	tables.host("https-443-web", "a.example", entry("/", to(backend(cluster, 1))))
	tables.cluster = &route.Cluster{
		ID: route.ClusterID{Gateway: gatewayName, Name: cluster}, Endpoints: "default/a/-", Protocol: route.HTTP1,
		TLS: &route.BackendTLS{Hostname: "a.internal", Names: []route.AltName{{Value: "a.internal"}}, CA: ca},
	}
	var described []*describe.Gateway
	for _, trusted := range []string{"one", "other"} {
		tables.secrets[ca] = &route.Secret{Authorities: []byte(trusted)}
		described = append(described, tables.describe(t, route.LayoutScoped))
	}
	want := `changed listener https-443-web: - client certificates required, authorities 7692c3ad3540; + client certificates required, authorities d9298a10d1b0
changed rule https-443-web a.example prefix /: - to default/a/443/tls/p over TLS as a.internal, authorities 7692c3ad3540; + to default/a/443/tls/p over TLS as a.internal, authorities d9298a10d1b0
`
	if got := text(describe.Diff(described[0], described[1])); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// street is a Gateway on which everything is served, and a good neighbour of each kind
// of traffic on it, under load: HTTP and HTTPS, on connections that last and on new
// ones, to a backend over TLS, and streams of all three kinds.
type street struct {
	*rig
	neighbours      *gwtest.Load
	https, tcp, udp int // ports
	markers         int
}

// newStreet starts it; args are for rutter.
func newStreet(t *testing.T, args ...string) *street {
	t.Helper()
	s := &street{rig: newRig(t), https: gwtest.FreePort(t), tcp: gwtest.FreePort(t), udp: gwtest.FreePort(t)}
	cert, key := gwtest.Certificate(t, "web.example.com")
	inside, insideKey := gwtest.Certificate(t, "secure.internal")
	web, secure := s.backend("web"), s.secureBackend(inside, insideKey).port()
	s.save("gateway", s.gateway())
	s.save("certificate", inNamespace("infra", secret("cert", cert, key)))
	s.save("backends", inNamespace("backends", serviceManifest("web", web)+"---\n"+serviceManifest("secure", secure)+policyManifest("secure", "secure.internal")+"---\n"+authorities(inside)+"---\n"+datagrams("echo", udpEcho(t))+`---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: good}
spec:
  from:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}
  - {group: gateway.networking.k8s.io, kind: TLSRoute, namespace: shop}
  - {group: gateway.networking.k8s.io, kind: TCPRoute, namespace: shop}
  - {group: gateway.networking.k8s.io, kind: UDPRoute, namespace: shop}
  to: [{group: "", kind: Service}]
`))
	s.save("neighbours", s.route("HTTPRoute", "shop", "web", "", "[web.example.com]", "{name: web, namespace: backends, port: 80}")+
		s.route("HTTPRoute", "shop", "secure", "http", "[secure.example.com]", "{name: secure, namespace: backends, port: 80}")+
		s.route("TLSRoute", "shop", "tls", "tls", "[tls.example.com]", "{name: secure, namespace: backends, port: 80}")+
		s.route("TCPRoute", "shop", "tcp", "tcp", "", "{name: web, namespace: backends, port: 80}")+
		s.route("UDPRoute", "shop", "udp", "udp", "", "{name: echo, namespace: backends, port: 53}"))
	s.start(args...)
	s.neighbours = gwtest.NewLoad(t) // it ends before what it asks does
	for name, ask := range map[string]func() error{
		"HTTP":                  httpClient(t.Context(), "http", "web.example.com", s.port),
		"HTTP, one connection":  keptClient(t.Context(), "http", "web.example.com", s.port),
		"HTTPS":                 httpClient(t.Context(), "https", "web.example.com", s.https),
		"HTTPS, one connection": keptClient(t.Context(), "https", "web.example.com", s.https),
		"HTTP to TLS":           httpClient(t.Context(), "http", "secure.example.com", s.port),
		"TLS":                   httpClient(t.Context(), "https", "tls.example.com", s.https),
		"TCP, one connection":   keptClient(t.Context(), "http", "anything", s.tcp),
		"TCP":                   httpClient(t.Context(), "http", "anything", s.tcp),
		"UDP":                   udpClient(s.udp),
	} {
		s.eventually(name+" is served", ask)
		s.neighbours.Add(name, ask)
	}
	return s
}

// gateway is the class and the Gateway, with more listeners.
func (s *street) gateway(more ...string) string {
	return class + fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: rutter
  allowedListeners: {namespaces: {from: All}}
  listeners:
  - {name: http, port: %d, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
  - {name: https, port: %[2]d, protocol: HTTPS, hostname: web.example.com, tls: {certificateRefs: [{name: cert}]}, allowedRoutes: {namespaces: {from: All}}}
  - {name: tls, port: %[2]d, protocol: TLS, hostname: tls.example.com, tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}
  - {name: tcp, port: %[3]d, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}
  - {name: udp, port: %[4]d, protocol: UDP, allowedRoutes: {namespaces: {from: All}}}
%[5]s`, s.port, s.https, s.tcp, s.udp, strings.Join(more, ""))
}

// route is one with a single rule for everything.
func (s *street) route(kind, namespace, name, section, hostnames, backend string) string {
	return s.rules(kind, namespace, name, section, hostnames, "[{backendRefs: ["+backend+"]}]")
}

func (s *street) rules(kind, namespace, name, section, hostnames, rules string) string {
	parent := "{name: gw, namespace: infra}"
	if section != "" {
		parent = "{name: gw, namespace: infra, sectionName: " + section + "}"
	}
	if hostnames != "" {
		hostnames = "  hostnames: " + hostnames + "\n"
	}
	return fmt.Sprintf("---\napiVersion: gateway.networking.k8s.io/v1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec:\n  parentRefs: [%s]\n%s  rules: %s\n",
		kind, name, namespace, parent, hostnames, rules)
}

func datagrams(name string, port int) string {
	return strings.NewReplacer("{name: http, port: 80}", "{name: dns, port: 53, protocol: UDP}", "{name: http,", "{name: dns, protocol: UDP,").Replace(serviceManifest(name, port))
}

// settled waits until Envoy has all that was saved before: what is served is one version
// after the other.
func (s *street) settled() {
	s.t.Helper()
	s.markers++
	host := fmt.Sprintf("m%d.example.com", s.markers)
	s.save("marker", s.route("HTTPRoute", "shop", "marker", "http", "["+host+"]", "{name: web, namespace: backends, port: 80}"))
	s.serves(host, "/", 200)
}

// bad is an object that is not as it should be, in one of its forms.
type bad struct {
	manifest string
	status   string   // the file of the object whose status tells of it
	says     []string // what it tells
}

// in is a file of the status directory.
func in(namespace, resource, name string) string {
	return resource + "/" + namespace + "/" + name + ".yaml"
}

// badObjects are for each kind the forms that one bad object takes.
func (s *street) badObjects() map[string][]bad {
	const group = "gateway.networking.k8s.io/v1"
	object := func(apiVersion, kind, namespace, name, spec string) string {
		where := ""
		if namespace != "" {
			where = ", namespace: " + namespace
		}
		return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {name: %s%s}\nspec: %s\n", apiVersion, kind, name, where, spec)
	}
	badClass := object(group, "GatewayClass", "", "bad", "{controllerName: rutter.dev/gateway-controller, parametersRef: {group: rutter.dev, kind: RutterClass, name: bad}}")
	of := func(gatewayClass, listeners string) string {
		return object(group, "Gateway", "team", "bad", "{gatewayClassName: "+gatewayClass+", listeners: ["+listeners+"]}")
	}
	set := func(listeners string) string {
		return object(group, "ListenerSet", "team", "bad", "{parentRef: {name: gw, namespace: infra}, listeners: ["+listeners+"]}")
	}
	policy := func(target, validation string) string {
		return object(group, "BackendTLSPolicy", "backends", "zz-bad", "{targetRefs: [{group: \"\", kind: Service, name: secure"+target+"}], validation: {hostname: x.internal, "+validation+"}}")
	}
	onHost := "[web.example.com]"
	return map[string][]bad{
		"GatewayClass": {
			{badClass + of("bad", fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", gwtest.FreePort(s.t))), in("-", "gatewayclasses", "bad"), []string{"InvalidParameters", "does not exist"}},
			{strings.Replace(badClass, "name: bad}", "name: bad, annotations: {rutter.dev/route-layout: sideways}}", 1), in("-", "gatewayclasses", "bad"), []string{"InvalidParameters", "sideways"}},
		},
		"Gateway": {
			{of("rutter", fmt.Sprintf("{name: http, port: %d, protocol: example.com/own}", s.port)), in("team", "gateways", "bad"), []string{"ListenersNotValid", "UnsupportedProtocol"}},
			{of("rutter", fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: web.example.com, tls: {certificateRefs: [{name: cert, namespace: infra}]}}", s.https)), in("team", "gateways", "bad"), []string{"RefNotPermitted"}},
		},
		"Gateway, the neighbours' own": {
			{s.gateway("  - {name: own, port: 8, protocol: example.com/own}\n"), in("infra", "gateways", "gw"), []string{"ListenersNotValid"}},
			{s.gateway(fmt.Sprintf("  - {name: more, port: %d, protocol: HTTPS, hostname: x.example.com, tls: {certificateRefs: [{name: none}]}}\n", s.https)), in("infra", "gateways", "gw"), []string{"InvalidCertificateRef"}},
		},
		"ListenerSet": {
			{set(fmt.Sprintf("{name: twin, port: %d, protocol: HTTPS, hostname: web.example.com, tls: {certificateRefs: [{name: none}]}}, {name: other, port: %d, protocol: TCP}", s.https, s.port)),
				in("team", "listenersets", "bad"), []string{"HostnameConflict", "ProtocolConflict", "ListenersNotValid"}},
			{set(fmt.Sprintf("{name: more, port: %d, protocol: HTTPS, hostname: x.example.com, tls: {certificateRefs: [{name: none}]}}, {name: own, port: 8, protocol: example.com/own}", s.https)),
				in("team", "listenersets", "bad"), []string{"InvalidCertificateRef", "UnsupportedProtocol"}},
		},
		"HTTPRoute": {
			{s.rules("HTTPRoute", "team", "bad", "", onHost, `[{matches: [{path: {type: RegularExpression, value: "/("}}]}, {matches: [{path: {value: /bad}}], backendRefs: [{name: none, port: 80}]}]`), in("team", "httproutes", "bad"), []string{"PartiallyInvalid", "BackendNotFound"}},
			{s.rules("HTTPRoute", "team", "bad", "", onHost, `[{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [":path"]}}], backendRefs: [{name: none, port: 80}]}]`), in("team", "httproutes", "bad"), []string{"reason: UnsupportedValue", "No rule is valid"}},
		},
		"GRPCRoute": {
			{s.rules("GRPCRoute", "team", "bad", "", onHost, `[{matches: [{method: {type: RegularExpression, service: "("}}]}, {matches: [{method: {service: a.b}}], backendRefs: [{name: none, port: 80}]}]`), in("team", "grpcroutes", "bad"), []string{"PartiallyInvalid", "BackendNotFound"}},
			{s.route("GRPCRoute", "team", "bad", "", onHost, "{name: web, namespace: backends, port: 80}"), in("team", "grpcroutes", "bad"), []string{"RefNotPermitted"}},
		},
		"TLSRoute": {
			{s.route("TLSRoute", "team", "bad", "tls", "[tls.example.com]", "{name: none, port: 80}"), in("team", "tlsroutes", "bad"), []string{"BackendNotFound"}},
			{s.route("TLSRoute", "team", "bad", "https", "[web.example.com]", "{name: none, port: 80}"), in("team", "tlsroutes", "bad"), []string{"NotAllowedByListeners"}},
		},
		"TCPRoute": {
			{s.route("TCPRoute", "team", "bad", "tcp", "", "{name: none, port: 80}"), in("team", "tcproutes", "bad"), []string{"BackendNotFound"}},
			{s.route("TCPRoute", "team", "bad", "http", "", "{name: none, port: 80}"), in("team", "tcproutes", "bad"), []string{"NotAllowedByListeners"}},
		},
		"UDPRoute": {
			{s.route("UDPRoute", "team", "bad", "udp", "", "{name: none, port: 80}"), in("team", "udproutes", "bad"), []string{"BackendNotFound"}},
			{s.route("UDPRoute", "team", "bad", "none", "", "{name: none, port: 80}"), in("team", "udproutes", "bad"), []string{"NoMatchingParent"}},
		},
		"ReferenceGrant": {
			{object(group, "ReferenceGrant", "backends", "bad", `{from: [{group: x.io, kind: Nothing, namespace: team}], to: [{group: x.io, kind: Nothing}]}`) +
				s.route("HTTPRoute", "team", "bad", "", "[bad.example.com]", "{name: web, namespace: backends, port: 80}"), in("team", "httproutes", "bad"), []string{"RefNotPermitted"}},
			{object(group, "ReferenceGrant", "backends", "bad", `{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: team}], to: [{group: "", kind: Service, name: none}]}`) +
				s.route("HTTPRoute", "team", "bad", "", "[bad.example.com]", "{name: secure, namespace: backends, port: 80}"), in("team", "httproutes", "bad"), []string{"RefNotPermitted"}},
		},
		"BackendTLSPolicy": {
			{policy("", "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: none}]"), in("backends", "backendtlspolicies", "zz-bad"), []string{"Conflicted", "InvalidCACertificateRef"}},
			{policy(", sectionName: none", "wellKnownCACertificates: System"), in("backends", "backendtlspolicies", "zz-bad"), []string{"TargetNotFound"}},
		},
		"RutterClass": {
			{badClass + object("rutter.dev/v1alpha1", "RutterClass", "", "bad", `{accessLog: {format: {text: "%NONSENSE%"}}}`) + of("bad", fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", s.port)),
				in("-", "gatewayclasses", "bad"), []string{"InvalidParameters", "NONSENSE"}},
			{badClass + object("rutter.dev/v1alpha1", "RutterClass", "", "bad", `{proxy: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}}`),
				in("-", "gatewayclasses", "bad"), []string{"InvalidParameters", "more than its limit"}},
		},
	}
}

func TestABadObjectOfAnyKindHarmsNoNeighbour(t *testing.T) {
	for _, layout := range []string{"scoped", "plain"} {
		t.Run(layout, func(t *testing.T) {
			s := newStreet(t, "--route-layout", layout)
			for kind, forms := range s.badObjects() {
				t.Run(kind, func(t *testing.T) {
					requests := s.neighbours.During(t, func() {
						for _, form := range forms {
							s.comes(kind, form)
						}
						s.goes(kind, forms[0].status)
					})
					t.Logf("%d requests", requests)
				})
			}
			s.verified()
		})
	}
}

// comes saves a form, and waits until it is told of and Envoy has what it comes to.
func (s *street) comes(kind string, form bad) {
	file := "bad"
	if strings.HasPrefix(kind, "Gateway, ") {
		file = "gateway"
	}
	s.save(file, form.manifest)
	s.statusHas(form.status, form.says...)
	s.settled()
}

// goes takes the bad object away.
func (s *street) goes(kind, status string) {
	if strings.HasPrefix(kind, "Gateway, ") {
		s.save("gateway", s.gateway())
		s.settled()
		return
	}
	s.remove("bad")
	s.eventually(status+" is gone", func() error {
		if _, err := os.Stat(filepath.Join(s.data, "status", status)); err == nil {
			return errors.New("it is there")
		}
		return nil
	})
	s.settled()
}

// What Rutter lets through and Envoy refuses: a port that somebody else has, and a
// certificate that is too weak. What is refused of other types is known from no object;
// see TestWhatEnvoyRefusesHarmsNoNeighbour of xds-server.
func TestWhatEnvoyRefusesHarmsNoNeighbour(t *testing.T) {
	for _, layout := range []string{"scoped", "plain"} {
		t.Run(layout, func(t *testing.T) {
			s := newStreet(t, "--route-layout", layout)
			taken, err := net.Listen("tcp", "0.0.0.0:0")
			must(t, err)
			defer taken.Close()
			weak, weakKey := weakCertificate(t, "weak.example.com")
			listener := func(text string) string {
				return inNamespace("team", fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: bad}\nspec: {parentRef: {name: gw, namespace: infra}, listeners: [%s]}\n", text))
			}
			for what, form := range map[string]struct{ manifest, said, told string }{
				"listener": {listener(fmt.Sprintf("{name: taken, port: %d, protocol: HTTP}", taken.Addr().(*net.TCPAddr).Port)), "Address already in use", in("team", "listenersets", "bad")},
				"secret": {
					listener(fmt.Sprintf("{name: weak, port: %d, protocol: HTTPS, hostname: weak.example.com, tls: {certificateRefs: [{name: weak}]}}", s.https)) +
						"---\n" + inNamespace("team", secret("weak", weak, weakKey)),
					"The Envoy of Gateway infra/gw refused a part of secret/team/weak; the rest is served:", in("team", "listenersets", "bad"),
				},
			} {
				t.Run(what, func(t *testing.T) {
					requests := s.neighbours.During(t, func() {
						for range 3 {
							s.save("bad", form.manifest)
							s.says(form.said)
							s.statusHas(form.told, "Envoy refuse")
							s.settled()
							s.remove("bad")
							s.settled()
							s.statusHas(in("infra", "gateways", "gw"), "reason: Programmed")
						}
					})
					t.Logf("%d requests", requests)
				})
			}
			s.verified()
		})
	}
}

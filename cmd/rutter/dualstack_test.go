package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// backendAt is the port of a server at an address, which answers with its name.
func backendAt(t *testing.T, address, name string) int {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	must(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().(*net.TCPAddr).Port
}

// slice is an EndpointSlice of a Service, as a dual-stack cluster has one for each family.
func slice(service, family, address string, port int) string {
	return fmt.Sprintf(`apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-%[2]s, labels: {kubernetes.io/service-name: %[1]s}}
addressType: %[3]s
ports: [{name: http, port: %[4]d}]
endpoints: [{addresses: ["%[5]s"]}]
`, service, strings.ToLower(family), family, port, address)
}

func TestListenersAndBackendsOfBothFamiliesAreServed(t *testing.T) {
	for _, layout := range []string{"scoped", "plain"} {
		t.Run(layout, func(t *testing.T) {
			r := newRig(t)
			https, tcp, udp := gwtest.FreePort(t), gwtest.FreePort(t), gwtest.FreePort(t)
			cert, key := gwtest.Certificate(t, "web.example.com")
			four := slice("web", "IPv4", "127.0.0.1", backendAt(t, "127.0.0.1", "four"))
			six := slice("web", "IPv6", "::1", backendAt(t, "::1", "six"))
			r.save("gateway", class+secret("cert", cert, key)+fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: http, port: %d, protocol: HTTP}
  - {name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}
  - {name: tcp, port: %d, protocol: TCP}
  - {name: udp, port: %d, protocol: UDP}
`, r.port, https, tcp, udp))
			r.save("web", `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: gw}]
  rules:
  - backendRefs: [{name: web, port: 80}]
  - matches: [{path: {value: /moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /here}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: udp}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: echo, port: 53}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}], ipFamilyPolicy: PreferDualStack}
---
`+datagrams("echo", udpEcho(t)))
			r.save("four", four)
			r.save("six", six)
			r.start("--listen-address", "::", "--route-layout", layout)

			// answers waits until a URL is answered by all of some backends, and by no other.
			answers := func(url, host string, want ...string) {
				t.Helper()
				client := httpTransport("web.example.com")
				seen := map[string]bool{}
				r.eventually(fmt.Sprintf("%s is answered by %v", url, want), func() error {
					status, body, err := get(t.Context(), client, url, host)
					if err != nil || status != http.StatusOK {
						return fmt.Errorf("status %d, %w", status, err)
					}
					if seen[body] = true; !strings.Contains(strings.Join(want, " "), body) {
						clear(seen)
					}
					if len(seen) != len(want) {
						return fmt.Errorf("so far by %v", seen)
					}
					return nil
				})
			}
			for _, address := range []string{"127.0.0.1", "::1"} {
				at := func(scheme string, port int) string {
					return scheme + "://" + netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String() + "/"
				}
				answers(at("http", r.port), "web.example.com", "four", "six")
				answers(at("https", https), "web.example.com", "four", "six")
				answers(at("http", tcp), "anything", "four", "six")
				answers(at("http", r.port), "", "four", "six") // the address is the host
				r.eventually("datagrams to "+address, udpClientAt(net.JoinHostPort(address, fmt.Sprint(udp))))
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at("http", r.port)+"moved", http.NoBody)
				must(t, err)
				response, err := httpTransport("").RoundTrip(request)
				must(t, err)
				must(t, response.Body.Close())
				if got, want := response.Header.Get("Location"), at("http", r.port)+"here"; got != want {
					t.Errorf("Location %q, want %q", got, want)
				}
			}
			// Each family comes and goes by itself.
			r.remove("four")
			answers(fmt.Sprintf("http://127.0.0.1:%d/", r.port), "web.example.com", "six")
			r.save("four", four)
			r.remove("six")
			answers(fmt.Sprintf("http://[::1]:%d/", r.port), "web.example.com", "four")
			text, err := os.ReadFile(filepath.Join(r.data, "status/gateways/default/gw.yaml"))
			if err != nil || !strings.Contains(string(text), `value: '::'`) {
				t.Errorf("the Gateway says that it is elsewhere: %s, %v", text, err)
			}
			r.verified()
		})
	}
}

func TestAGatewayMayListenOnIPv6Alone(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", r.backend("web")))
	r.start("--listen-address", "::1")
	r.eventually("it is served", func() error {
		status, _, err := get(t.Context(), http.DefaultTransport, fmt.Sprintf("http://[::1]:%d/", r.port), "web.example.com")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	if _, _, err := r.get("web.example.com", "/"); err == nil {
		t.Error("it is served over IPv4 too")
	}
	r.verified()
}

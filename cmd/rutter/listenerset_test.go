package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// inNamespace moves manifests to a namespace.
func inNamespace(namespace, text string) string {
	return strings.ReplaceAll(text, "metadata: {", "metadata: {namespace: "+namespace+", ")
}

func listenerSet(name, hostname string, port int) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: %s}
spec:
  parentRef: {name: gw, namespace: default}
  listeners:
  - {name: tls, port: %d, protocol: HTTPS, hostname: %s, tls: {certificateRefs: [{name: %s}]}}
`, name, port, hostname, name)
}

func TestAListenerSetOfATenantIsServedBesideItsGateway(t *testing.T) {
	r := newRig(t)
	ownCert, ownKey := gwtest.Certificate(t, "gw.example.com")
	teamCert, teamKey := gwtest.Certificate(t, "team.example.com")
	r.save("gateway", class+secret("own", ownCert, ownKey)+fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  allowedListeners: {namespaces: {from: All}}
  listeners:
  - {name: tls, port: %d, protocol: HTTPS, hostname: gw.example.com, tls: {certificateRefs: [{name: own}]}}
`, r.port))
	r.save("route", strings.Replace(routeManifest("web", "/", r.backend("web")), "hostnames: [web.example.com]", "hostnames: [gw.example.com, team.example.com]", 1))
	r.save("set", inNamespace("team", secret("set", teamCert, teamKey)+"---\n"+listenerSet("set", "team.example.com", r.port)))
	r.save("team", inNamespace("team", strings.NewReplacer("hostnames: [web.example.com]", "hostnames: []", "name: gw}", "kind: ListenerSet, name: set}").
		Replace(routeManifest("team", "/", r.backend("team")))))
	r.start()

	ask := func(sni, host string) (status int, body, certificate string, err error) {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			ServerName: sni, InsecureSkipVerify: true, //nolint:gosec // the certificate itself is looked at
			VerifyConnection: func(s tls.ConnectionState) error { certificate = s.PeerCertificates[0].DNSNames[0]; return nil },
		}}
		status, body, err = get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), host)
		return status, body, certificate, err
	}
	expect := func(sni, host string, wantStatus int, wantBody string) {
		t.Helper()
		r.eventually(fmt.Sprintf("SNI %s, host %s", sni, host), func() error {
			status, body, certificate, err := ask(sni, host)
			if err == nil && (status != wantStatus || !strings.Contains(body, wantBody) || certificate != sni) {
				err = fmt.Errorf("status %d, %q, certificate of %s", status, body, certificate)
			}
			return err
		})
	}
	says := func(file string, want ...string) {
		t.Helper()
		r.eventually("status in "+file, func() error {
			text, err := os.ReadFile(filepath.Join(r.data, "status", file))
			for _, w := range want {
				if err == nil && !strings.Contains(string(text), w) {
					err = fmt.Errorf("%q is not in\n%s", w, text)
				}
			}
			return err
		})
	}
	expect("gw.example.com", "gw.example.com", 200, `"backend":"web"`)
	expect("team.example.com", "team.example.com", 200, `"backend":"team"`)
	expect("gw.example.com", "team.example.com", 421, "")
	expect("team.example.com", "GW.example.com", 421, "")
	expect("team.example.com", "other.example.com", 404, "")
	says("listenersets/team/set.yaml", "kind: ListenerSet", "reason: Programmed", "attachedRoutes: 1")
	says("gateways/default/gw.yaml", "attachedListenerSets: 1")

	// A weak certificate, which Envoy refuses: what it had stays, and its owner is told.
	weakCert, weakKey := weakCertificate(t, "team.example.com")
	r.save("set", inNamespace("team", secret("set", weakCert, weakKey)+"---\n"+listenerSet("set", "team.example.com", r.port)))
	says("listenersets/team/set.yaml", "type: rutter.dev/Refused", "reason: CertificateWeak", "reason: Programmed")
	expect("team.example.com", "team.example.com", 200, `"backend":"team"`)
	if text, err := os.ReadFile(filepath.Join(r.data, "status/gateways/default/gw.yaml")); err != nil || strings.Contains(string(text), "Refused") || strings.Contains(string(text), "reason: Invalid") {
		t.Errorf("the Gateway tells of the certificate of a tenant (%v):\n%s", err, text)
	}
	r.save("set", inNamespace("team", secret("set", teamCert, teamKey)+"---\n"+listenerSet("set", "team.example.com", r.port)))
	r.eventually("it is mended", func() error {
		text, err := os.ReadFile(filepath.Join(r.data, "status/listenersets/team/set.yaml"))
		if err == nil && (strings.Contains(string(text), "Refused") || strings.Contains(string(text), "CertificateWeak")) {
			err = errors.New(string(text))
		}
		return err
	})

	// A younger one with the same hostname waits, and takes over when the first goes.
	youngCert, youngKey := gwtest.Certificate(t, "team.example.com")
	r.save("young", inNamespace("young", secret("zz", youngCert, youngKey)+"---\n"+listenerSet("zz", "team.example.com", r.port)))
	says("listenersets/young/zz.yaml", "reason: HostnameConflict", "reason: ListenersNotValid")
	expect("team.example.com", "team.example.com", 200, `"backend":"team"`)
	r.remove("set")
	expect("team.example.com", "team.example.com", 404, "")
	says("listenersets/young/zz.yaml", "reason: Programmed")
	says("gateways/default/gw.yaml", "attachedListenerSets: 1")
	r.remove("young")
	r.eventually("nobody answers for the hostname", func() error {
		if _, _, _, err := ask("team.example.com", "team.example.com"); err == nil {
			return errors.New("somebody does")
		}
		return nil
	})
	expect("gw.example.com", "gw.example.com", 200, `"backend":"web"`)
	r.verified()
}
